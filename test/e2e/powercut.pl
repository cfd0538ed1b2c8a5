#!/usr/bin/perl
# Power cuts from a log of system calls: what a disk holds that lost everything
# that was not synced.
#
# usage: powercut.pl TRACE SPOOL JOURNAL OUT SEED
#
# TRACE comes from strace -f -y -xx -s (large). The model is the strict one:
#   - bytes of a file are durable as of the start of an fsync or fdatasync of it
#   - a name is durable once its directory was synced; a rename is one step,
#     durable with the sync of either directory
#   - syncfs makes all of it durable as of its start
# Each completed sync makes a state. A cut just before the next one is the worst
# that can happen to it: OUT/N/spool holds the state, OUT/N/journal what the
# host had noted by then. A kernel may also have written some of what nobody
# synced: at each sync, and at every fortieth write, there is a second state
# where each file by chance (SEED) has its unsynced bytes or not.
use strict;
use warnings;

my ($trace, $spool, $journal_path, $out, $seed) = @ARGV;
srand $seed;

# Inodes: directories have {names} now and {kept} (durable); files {bytes} and
# {durable}.
my $root = {names => {}, kept => {}};
my $journal = '';
my @files;      # every file that ever was
my $writes = 0;
my @pending;    # changes of names: {dirs => [inode...], apply => code}
my $state = 0;
my %unfinished;

sub path_of { my $hex = shift; $hex =~ s/\\x([0-9a-f]{2})/chr hex $1/ge; return $hex }

# The parent's inode and the last name, or nothing when it is not in the spool.
sub locate {
    my $path = shift;
    $path =~ s{/\.?$}{};
    return unless $path =~ s{^\Q$spool\E(?=/|$)}{};
    my @names = grep { length && $_ ne '.' } split m{/}, $path;
    my ($dir, $last) = ($root, pop @names);
    for my $name (@names) {
        $dir = $dir->{names}{$name};
        return unless $dir && $dir->{names};
    }
    return ($dir, $last);
}

sub inode {
    my ($dir, $name) = locate($_[0]);
    return unless $dir;
    return defined $name ? $dir->{names}{$name} : $dir;
}

sub change {
    my ($dirs, $apply) = @_;
    $apply->('names');
    push @pending, {dirs => $dirs, apply => $apply};
}

sub add {
    my ($path, $made) = @_;
    my ($dir, $name) = locate($path);
    return unless $dir && defined $name && !$dir->{names}{$name};
    change([$dir], sub { $dir->{$_[0]}{$name} = $made });
}

sub remove {
    my ($dir, $name) = locate($_[0]);
    return unless $dir && defined $name;
    change([$dir], sub { delete $dir->{$_[0]}{$name} });
}

sub move {
    my ($from_dir, $from) = locate($_[0]);
    my ($to_dir, $to) = locate($_[1]);
    return unless $from_dir && $to_dir;
    my $moved = $from_dir->{names}{$from} or return;
    change([$from_dir, $to_dir], sub { delete $from_dir->{$_[0]}{$from};
            $to_dir->{$_[0]}{$to} = $moved });
}

sub put {
    my ($path, $bytes, $offset) = @_;
    if ($path eq $journal_path) {
        $journal .= $bytes;
        return;
    }
    my $file = inode($path) or return;
    emit(1) if ++$writes % 40 == 0;
    $offset = length $file->{bytes} unless defined $offset;
    my $gap = $offset - length $file->{bytes};
    $file->{bytes} .= "\0" x $gap if $gap > 0;
    substr($file->{bytes}, $offset, length $bytes) = $bytes;
}

# What a sync that starts now will have made durable when it completes.
sub sync_begin {
    my ($path, $all) = @_;
    my $what = inode($path) or return;
    return {files => [map { [$_, $_->{bytes}] } @files], names => [@pending]} if $all;
    return {files => [[$what, $what->{bytes}]], names => []} unless $what->{names};
    my @covered = grep { my $p = $_; grep { $_ == $what } @{$p->{dirs}} } @pending;
    return {files => [], names => \@covered};
}

sub sync_end {
    my $begun = shift or return;
    emit(0);
    emit(1);
    $_->[0]{durable} = $_->[1] for @{$begun->{files}};
    my %done = map { $_ => 1 } @{$begun->{names}};
    $_->{apply}->('kept') for grep { $done{$_} } @pending;
    @pending = grep { !$done{$_} } @pending;
}

sub write_file {
    my ($path, $bytes) = @_;
    open(my $file, '>:raw', $path) or die "$path: $!\n";
    print $file $bytes;
    close $file or die "$path: $!\n";
}

sub write_tree {
    my ($dir, $path, $by_chance) = @_;
    mkdir $path, 0700 or die "$path: $!\n";
    for my $name (keys %{$dir->{kept}}) {
        my $inode = $dir->{kept}{$name};
        if ($inode->{names}) {
            write_tree($inode, "$path/$name", $by_chance);
        } else {
            my $which = $by_chance && rand() < 0.5 ? 'bytes' : 'durable';
            write_file("$path/$name", $inode->{$which});
        }
    }
}

sub emit {
    my $by_chance = shift;
    mkdir "$out/$state" or die "$out/$state: $!\n";
    write_tree($root, "$out/$state/spool", $by_chance);
    write_file("$out/$state/journal", $journal);
    $state++;
}

# Arguments of the call: strings decoded, descriptors as their paths.
sub resolve {
    my ($dir, $name) = @_;
    return $name if $name =~ m{^/} || !length $dir;
    return "$dir/$name";
}

my $S = qr/"((?:\\x[0-9a-f]{2})*)"/;
my $F = qr/-?\w+(?:<([^>]*)>)?/;

sub finished {
    my ($call, $args, $begun) = @_;
    if ($call =~ /^p?write(64)?$/ && $args =~ /^$F, $S, \d+(?:, (\d+))?/) {
        put(path_of($1), path_of($2), $3);
    } elsif ($call eq 'openat' && $args =~ /^$F, $S, (\S+?)(?:, \d+)?$/) {
        my ($path, $flags) = (resolve(path_of($1 // ''), path_of($2)), $3);
        if ($flags =~ /O_CREAT/ && locate($path) && !inode($path)) {
            push @files, {bytes => '', durable => ''};
            add($path, $files[-1]);
        }
        if ($flags =~ /O_TRUNC/) { my $file = inode($path); $file->{bytes} = '' if $file }
    } elsif ($call eq 'mkdir' && $args =~ /^$S/) {
        add(path_of($1), {names => {}, kept => {}});
    } elsif ($call eq 'mkdirat' && $args =~ /^$F, $S/) {
        add(resolve(path_of($1 // ''), path_of($2)), {names => {}, kept => {}});
    } elsif ($call =~ /^renameat2?$/ && $args =~ /^$F, $S, $F, $S/) {
        move(resolve(path_of($1 // ''), path_of($2)), resolve(path_of($3 // ''), path_of($4)));
    } elsif ($call eq 'rename' && $args =~ /^$S, $S/) {
        move(path_of($1), path_of($2));
    } elsif ($call eq 'unlinkat' && $args =~ /^$F, $S/) {
        remove(resolve(path_of($1 // ''), path_of($2)));
    } elsif ($call =~ /^(unlink|rmdir)$/ && $args =~ /^$S/) {
        remove(path_of($1));
    } elsif ($call eq 'ftruncate' && $args =~ /^$F, (\d+)/) {
        my $file = inode(path_of($1));
        substr($file->{bytes}, $2) = '' if $file && length $file->{bytes} > $2;
    } elsif ($call =~ /^(f(data)?sync|syncfs)$/) {
        sync_end($begun);
    } elsif ($call =~ /^pwritev2?$/ && $args =~ /^$F, \[(.*)\], \d+, (\d+)/) {
        my ($path, $vectors, $offset) = (path_of($1), $2, $3);
        put($path, join('', map { path_of($_) } $vectors =~ /iov_base=$S/g), $offset);
    } elsif ($call =~ /^(writev|sync|copy_file_range|link|linkat|sendfile)$/
            && index(path_of($args), $spool) >= 0) {
        die "the model does not know $call\n";
    }
}

sub begun {
    my ($call, $args) = @_;
    return unless $call =~ /^(f(data)?sync|syncfs)$/;
    return $args =~ /^$F/ ? sync_begin(path_of($1), $call eq 'syncfs') : undef;
}

open(my $lines, '<', $trace) or die "$trace: $!\n";
while (my $line = <$lines>) {
    if ($line =~ /^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$/) {
        $unfinished{$1} = [$2, $3, begun($2, $3)];
    } elsif ($line =~ /^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += +(-?\d+)/) {
        my $open = delete $unfinished{$1} or next;
        finished($2, $open->[1] . $3, $open->[2]) if $4 >= 0;
    } elsif ($line =~ /^\d+ +(\w+)\((.*)\) += +(-?\d+)/) {
        finished($1, $2, begun($1, $2)) if $3 >= 0;
    }
}
emit(0);
print "$state\n";
