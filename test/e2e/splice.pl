#!/usr/bin/perl
# Put stored bytes into the envelope, as an archive does: encryptedContent [0]
# IMPLICIT OCTET STRING at the end of EncryptedContentInfo (RFC 5652, 6.1).
# Independent of the project's own code, and without a key.
#
# usage: splice.pl ENVELOPE.der STORED.bin > ARCHIVE.p7m
use strict;
use warnings;

sub slurp {
    open(my $file, '<:raw', $_[0]) or die "$_[0]: $!\n";
    local $/;
    return scalar <$file> // '';
}

sub der {
    my ($tag, $content) = @_;
    my $length = length $content;
    return chr($tag) . chr($length) . $content if $length < 128;
    my $octets = pack('Q>', $length) =~ s/^\0+//r;
    return chr($tag) . chr(0x80 | length $octets) . $octets . $content;
}

# The contents of the element at the front of $_[0], which is cut off there.
sub take {
    my ($tag) = unpack('C', $_[0]);
    my ($length, $at) = (unpack('C', substr($_[0], 1, 1)), 2);
    if ($length & 0x80) {
        my $count = $length & 0x7f;
        $length = hex unpack('H*', substr($_[0], 2, $count));
        $at += $count;
    }
    my $content = substr($_[0], $at, $length);
    substr($_[0], 0, $at + $length) = '';
    return ($tag, $content);
}

my $rest = slurp($ARGV[0]);
my (undef, $content_info) = take($rest);
die "bytes after the envelope\n" if length $rest;
my ($tag, $oid) = take($content_info);
(undef, my $explicit) = take($content_info);
(undef, my $enveloped) = take($explicit);
my @parts;
push @parts, [take($enveloped)] while length $enveloped;
my $encrypted = $parts[-1][1];
$parts[-1][1] = $encrypted . der(0x80, slurp($ARGV[1]));
binmode STDOUT;
print der(0x30, der($tag, $oid) . der(0xa0, der(0x30, join '', map { der(@$_) } @parts)));
