//! The filter against hostile sequences, and against whatever else may come.

use proptest::prelude::*;

use super::*;

fn filtered(bytes: &[u8]) -> Vec<u8> {
    let (mut filter, mut out) = (EscapeFilter::new(), Vec::new());
    filter.feed(bytes, &mut out);
    filter.finish(&mut out);
    out
}

fn filtered_in_pieces(bytes: &[u8], piece: usize) -> Vec<u8> {
    let (mut filter, mut out) = (EscapeFilter::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        filter.feed(piece, &mut out);
    }
    filter.finish(&mut out);
    out
}

/// What it says of itself, the bytes, and what is left of them.
const HOSTILE: &[(&str, &[u8], &str)] = &[
    ("clipboard", b"a\x1b]52;c;ZXZpbA==\x07b", "ab"),
    ("clipboard, ended by ST", b"a\x1b]52;c;ZXZpbA==\x1b\\b", "ab"),
    ("clipboard, 8 bit", b"a\x9d52;c;ZXZpbA==\x9cb", "ab"),
    (
        "clipboard, 8 bit in UTF-8",
        "a\u{9d}52;c;ZXZpbA==\u{9c}b".as_bytes(),
        "ab",
    ),
    ("clipboard is asked for", b"a\x1b]52;c;?\x07b", "ab"),
    (
        "user variable",
        b"a\x1b]1337;SetUserVar=wezterm_parallel_state=ZXZpbA==\x07b",
        "ab",
    ),
    ("image", b"a\x1b]1337;File=inline=1:AAAA\x07b", "ab"),
    (
        "link",
        b"a\x1b]8;;http://example.org\x1b\\text\x1b]8;;\x1b\\b",
        "atextb",
    ),
    ("both titles", b"a\x1b]0;title\x07b", "ab"),
    ("title", b"a\x1b]2;title\x1b\\b", "ab"),
    ("tab title", b"a\x1b]1;title\x07b", "ab"),
    (
        "title with characters",
        "a\x1b]2;tïtle ✓ \u{1f980}\x07b".as_bytes(),
        "ab",
    ),
    ("notification", b"a\x1b]777;notify;t;b\x07\x1b]9;text\x07b", "ab"),
    (
        "palette",
        b"a\x1b]4;1;rgb:00/00/00\x07\x1b]10;?\x07\x1b]104\x07b",
        "ab",
    ),
    ("working folder", b"a\x1b]7;file://host/\x07b", "ab"),
    ("prompt marks", b"a\x1b]133;A\x07b", "ab"),
    ("DCS", b"a\x1bPq#0;2;0;0;0#0~~@@vv\x1b\\b", "ab"),
    ("DCS, 8 bit", b"a\x90q#0~~\x9cb", "ab"),
    ("DECRQSS", b"a\x1bP$qm\x1b\\b", "ab"),
    ("XTGETTCAP", b"a\x1bP+q544e\x1b\\b", "ab"),
    (
        "tmux passthrough",
        b"a\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\b",
        "ab",
    ),
    ("APC", b"a\x1b_Gf=32;AAAA\x1b\\b", "ab"),
    ("APC, 8 bit", b"a\x9fG\x9cb", "ab"),
    ("PM", b"a\x1b^private\x1b\\b", "ab"),
    ("PM, 8 bit", b"a\x9eprivate\x9cb", "ab"),
    ("SOS", b"a\x1bXstring\x1b\\b", "ab"),
    ("SOS, 8 bit", b"a\x98string\x9cb", "ab"),
    (
        "cursor position is asked for",
        b"a\x1b[6nb\x1b[?6nc\x1b[5nd",
        "abcd",
    ),
    (
        "device attributes",
        b"a\x1b[cb\x1b[>cc\x1b[=cd\x1bZe\x1b[0ce",
        "abcdee",
    ),
    ("window operations", b"a\x1b[8;1;1tb\x1b[21tc\x1b[18td", "abcd"),
    ("terminal version", b"a\x1b[>qb\x1b[?uc", "abc"),
    ("mode is asked for", b"a\x1b[?2026$pb", "ab"),
    ("alternate screen", b"a\x1b[?1049hb\x1b[?47hc\x1b[?1049ld", "abcd"),
    ("mouse", b"a\x1b[?1000hb\x1b[?1006hc\x1b[?1003hd", "abcd"),
    (
        "bracketed paste, focus, cursor",
        b"a\x1b[?2004hb\x1b[?1004hc\x1b[?25ld",
        "abcd",
    ),
    ("insert mode, linefeed mode", b"a\x1b[4hb\x1b[20hc", "abc"),
    ("keyboard protocols", b"a\x1b[>1ub\x1b[>4;2mc\x1b[?4md", "abcd"),
    ("cursor up and down", b"a\x1b[Ab\x1b[9Bc\x1b[Ed\x1b[2Fe", "abcde"),
    (
        "cursor to a place",
        b"a\x1b[1;1Hb\x1b[Hc\x1b[2;2fd\x1b[5de",
        "abcde",
    ),
    ("right with two parameters", b"a\x1b[1;2Cb", "ab"),
    ("erase the screen", b"a\x1b[2Jb\x1b[3Jc", "abc"),
    (
        "lines in and out, scrolling",
        b"a\x1b[Lb\x1b[Mc\x1b[Sd\x1b[Te\x1b[2;5rf",
        "abcdef",
    ),
    ("repeat", b"a\x1b[99999999bb", "ab"),
    ("soft reset, cursor shape", b"a\x1b[!pb\x1b[2 qc", "abc"),
    ("save and restore", b"a\x1b7b\x1b8c\x1b[sd\x1b[ue", "abcde"),
    ("full reset", b"a\x1bcb", "ab"),
    ("index and reverse index", b"a\x1bDb\x1bMc\x1bEd\x1bHe", "abcde"),
    ("charsets", b"a\x1b(0b\x1b)Bc\x1b*0d\x1b%Ge\x1bnf", "abcdef"),
    ("charset shifts", b"a\x0eb\x0fc", "abc"),
    ("line size, alignment test", b"a\x1b#8b\x1b#3c", "abc"),
    ("keypad", b"a\x1b=b\x1b>c", "abc"),
    (
        "bell, enquiry, null, form feed, delete",
        b"a\x07b\x05c\0d\x0ce\x0bf\x7fg",
        "abcdefg",
    ),
    ("8 bit sequence", b"a\x9b2Jb\x9b6nc", "abc"),
    ("8 bit sequence in UTF-8", "a\u{9b}2Jb\u{9b}6nc".as_bytes(), "abc"),
    ("8 bit index, next line", b"a\x84b\x85c\x8dd\x9ae", "abcde"),
    ("escape in a string begins anew", b"a\x1b]0;t\x1b[6nb", "ab"),
    ("string in a string", b"a\x1b]0;t\x1b]52;c;eA==\x07b", "ab"),
    ("string in a control sequence", b"a\x1b[31\x1b]0;t\x07b", "ab"),
    ("cancelled", b"a\x1b]52;c;eA==\x18b\x1b[31\x1ac", "abc"),
    ("escape twice", b"a\x1b\x1b]0;t\x07b", "ab"),
    ("string without end", b"a\x1b]52;c;eA==\nnext", "a\nnext"),
    ("control sequence without end", b"a\x1b[31\nnext", "a\nnext"),
    ("cut at the end", b"a\x1b[3", "a"),
    ("cut character at the end", b"a\xe2\x9c", "a\u{fffd}"),
    (
        "no UTF-8",
        b"a\xff\xfeb\xc0\xafc\xed\xa0\x80d",
        "a\u{fffd}\u{fffd}b\u{fffd}\u{fffd}c\u{fffd}\u{fffd}d",
    ),
    (
        "cut character before a sequence",
        b"a\xe2\x9c\x1b]0;t\x07b",
        "a\u{fffd}b",
    ),
    (
        "continuation that could be ST",
        "a\x1b]0;\u{271c}\x07b".as_bytes(),
        "ab",
    ),
];

#[test]
fn hostile_sequences_leave_only_their_text() {
    for (name, bytes, left) in HOSTILE {
        assert_eq!(String::from_utf8(filtered(bytes)).unwrap(), *left, "{name}");
        for piece in 1..bytes.len() {
            let in_pieces = filtered_in_pieces(bytes, piece);
            assert_eq!(String::from_utf8(in_pieces).unwrap(), *left, "{name}, by {piece}");
        }
    }
}

#[test]
fn colours_and_moves_within_the_line_are_kept() {
    for kept in [
        "\x1b[31mred\x1b[0m\x1b[m",
        "\x1b[1;38;5;208mx\x1b[38;2;1;2;3my\x1b[4:3mz\x1b[58:2::1:2:3mw",
        "50 %\r\x1b[K100 %\n",
        "a\x1b[2Kb\x1b[1Kc",
        "a\x1b[3Cb\x1b[2Dc\x1b[1Gd\x1b[5`e\x1b[2af",
        "tab\tback\x08\x08",
        "grün ✓ 漢字 \u{1f980} \u{a0}",
    ] {
        assert_eq!(filtered(kept.as_bytes()), kept.as_bytes(), "{kept:?}");
    }
    assert_eq!(filtered(b"\x9b31mred"), b"\x1b[31mred");
}

#[test]
fn an_endless_sequence_fills_no_memory() {
    for begin in [&b"\x1b]52;c;"[..], b"\x1b[", b"\x1bP", b"\x90", b"\x1b("] {
        let (mut filter, mut out) = (EscapeFilter::new(), Vec::new());
        filter.feed(begin, &mut out);
        for _ in 0..100 {
            filter.feed(&[b'/'; 1 << 16], &mut out);
            filter.feed(&[b'1'; 1], &mut out);
        }
        assert!(filter.parameters.capacity() + filter.character.capacity() <= 2 * PARAMETERS_MAX);
        filter.feed(b"\x07\nafter", &mut out);
        assert!(out.ends_with(b"\nafter"), "{begin:?}");
    }
    let long = [b"\x1b[".as_slice(), &[b'1'; PARAMETERS_MAX + 1], b"mtext"].concat();
    assert_eq!(filtered(&long), b"text");
}

#[test]
fn what_comes_after_an_output_begins_on_a_line_of_its_own() {
    let settled = |bytes: &[u8]| {
        let (mut filter, mut out) = (EscapeFilter::new(), Vec::new());
        filter.feed(bytes, &mut out);
        filter.finish(&mut out);
        out.clear();
        filter.settle(&mut out);
        assert!(!filter.is_unsettled());
        String::from_utf8(out).unwrap()
    };
    assert_eq!(settled(b""), "");
    assert_eq!(settled(b"line\n"), "");
    assert_eq!(settled(b"half"), "\n");
    assert_eq!(settled(b"50 %\r"), "\n");
    assert_eq!(settled(b"\x1b[31mred\n\x1b[0m"), "\x1b[0m");
    assert_eq!(settled(b"\x1b[31mred"), "\x1b[0m\n");
    assert_eq!(settled(b"a\n\xe2"), "\n");
}

/// Bytes of which sequences are made, more often than chance would have them.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => prop::sample::select(b"\x1b\x1b\x1b[]P_^X\\?>;:0123m\x07\x18\n\r\t\x9b\x9c\x9d\x90\xc2\xe2\xf0KGCDHJnct(".to_vec()),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..200)
}

/// Whether these are text, and the sequences that are kept.
fn is_harmless(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{8}')) {
        let Some(sequence) = rest[at..].strip_prefix("\x1b[") else {
            return false;
        };
        let Some(end) = sequence.find(|c: char| !matches!(c, '0'..=';')) else {
            return false;
        };
        if !is_kept(&sequence.as_bytes()[..end], sequence.as_bytes()[end]) {
            return false;
        }
        rest = &sequence[end + 1..];
    }
    true
}

proptest! {
    #[test]
    fn nothing_else_ever_passes(bytes in hostile_bytes()) {
        let out = filtered(&bytes);
        prop_assert!(is_harmless(&out), "{:?}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn pieces_make_no_difference(bytes in hostile_bytes(), piece in 1usize..50) {
        prop_assert_eq!(filtered_in_pieces(&bytes, piece), filtered(&bytes));
    }

    #[test]
    fn a_second_filter_finds_nothing_to_drop(bytes in hostile_bytes()) {
        let once = filtered(&bytes);
        prop_assert_eq!(filtered(&once), once);
    }

    #[test]
    fn text_passes_as_it_is(text in "[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]{0,200}") {
        prop_assert_eq!(filtered(text.as_bytes()), text.as_bytes());
    }

    #[test]
    fn what_comes_after_a_line_is_always_shown(bytes in hostile_bytes()) {
        let out = filtered(&[&bytes, b"\nshown".as_slice()].concat());
        prop_assert!(out.ends_with(b"\nshown"));
    }
}
