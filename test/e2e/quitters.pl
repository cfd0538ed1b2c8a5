#!/usr/bin/perl
# Clients that go away in the middle of a POST, beside others that wait for
# their answer: exits 1 when one of these gets none.
#
# usage: quitters.pl PORT CLIENTS POSTS SEED
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);

my ($port, $clients, $posts, $seed) = @ARGV;
my $patience_s = 5;

sub request {
    my $id = shift;
    my $body = sprintf '{"id":"%s","mediaFiles":[{"mediaId":"m","pkcs7":"%s"}]}', $id,
        'x' x int rand 20000;
    return "POST /api/contact-centers/acme/recordings HTTP/1.1\r\nHost: x\r\n"
        . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
}

# 0: it was answered, or did not want to be.
sub post {
    my $id = shift;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port,
        Timeout => $patience_s) or die "connect: $!\n";
    my $request = request($id);
    my $whole = rand() < 0.7;
    $request = substr $request, 0, int rand length $request unless $whole;
    print {$socket} $request;
    $socket->flush;
    # Half of those who quit do so with a reset.
    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if rand() < 0.5;
    return 0 unless $whole && rand() < 0.3;
    return 0 if IO::Select->new($socket)->can_read($patience_s);
    print "$id: no answer within $patience_s s\n";
    return 1;
}

my @children;
for my $client (1 .. $clients) {
    my $child = fork // die "fork: $!\n";
    if (!$child) {
        srand $seed + $client;
        $SIG{PIPE} = 'IGNORE';
        my $unanswered = 0;
        $unanswered += post("quitter-$client-$_") for 1 .. $posts;
        exit($unanswered ? 1 : 0);
    }
    push @children, $child;
}
my $failed = 0;
for my $child (@children) {
    waitpid $child, 0;
    $failed = 1 if $?;
}
exit $failed;
