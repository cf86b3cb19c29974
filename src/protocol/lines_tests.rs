//! The line reader: streams that arrive in pieces of any size.

use std::pin::Pin;
use std::task::{Context, Poll};

use proptest::prelude::*;
use tokio::io::{AsyncRead, ReadBuf};

use super::*;

/// Hands out a stream in given pieces, then its end.
struct Pieces(Vec<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(piece) = self.0.first_mut() {
            let count = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..count]);
            piece.drain(..count);
            if piece.is_empty() {
                self.0.remove(0);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Everything that a reader makes of `pieces`: batches, and how it ended.
fn read(pieces: &[&[u8]], limit: usize, max: usize) -> (Vec<Vec<String>>, End) {
    let pieces = pieces.iter().filter(|piece| !piece.is_empty());
    let pieces = Pieces(pieces.map(|piece| piece.to_vec()).collect());
    let mut reader = LineReader::with_limit(pieces, limit);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut batches = Vec::new();
    loop {
        let batch = runtime.block_on(reader.next_batch(max)).unwrap();
        if let Some(end) = batch.end {
            assert_eq!(batch.messages, Vec::new());
            return (batches, end);
        }
        assert!(!batch.messages.is_empty() && batch.messages.len() <= max);
        batches.push(batch.messages.into_iter().map(summary).collect());
    }
}

fn summary(result: Result<Message, ErrorAnswer>) -> String {
    match result {
        Ok(Message::Show(OneTask { id })) => id,
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("{:?}", error.code),
    }
}

fn show(id: &str) -> String {
    format!("{{\"Show\":{{\"id\":\"{id}\"}}}}\n")
}

#[test]
fn lines_that_arrive_together_are_handed_out_together() {
    let lines = [show("a"), show("b"), show("c")].concat();
    let (batches, end) = read(&[lines.as_bytes()], 100, 10);
    assert_eq!(
        (batches, end),
        (
            vec![vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]],
            End::Closed
        )
    );
    let (batches, _) = read(&[lines.as_bytes()], 100, 2);
    assert_eq!(batches, [vec!["a", "b"], vec!["c"]]);
}

#[test]
fn a_bad_line_does_not_end_the_stream() {
    let lines = [show("a"), "nonsense\n".to_owned(), show("b")].concat();
    assert_eq!(read(&[lines.as_bytes()], 100, 10).0, [["a", "InvalidJson", "b"]]);
}

#[test]
fn empty_lines_say_nothing_and_half_a_line_is_discarded() {
    let lines = [
        "\n",
        "\r\n",
        &show("a"),
        " \n",
        &show("b"),
        "{\"Show\":{\"id\":\"half\"}}",
    ]
    .concat();
    let (batches, end) = read(&[lines.as_bytes()], 100, 10);
    assert_eq!(
        (batches, end),
        (vec![vec!["a".to_owned(), "b".to_owned()]], End::Closed)
    );
    assert_eq!(read(&[], 100, 10), (vec![], End::Closed));
}

#[test]
fn a_line_at_the_limit_is_taken_and_one_beyond_it_is_skipped() {
    let id = "x".repeat(20);
    let limit = show(&id).len() - 1;
    let lines = [show(&id), show(&format!("{id}x")), show("after")].concat();
    let expected = [id.as_str(), "LineTooLong", "after"];
    assert_eq!(read(&[lines.as_bytes()], limit, 10).0.concat(), expected);
    for cut in 0..lines.len() {
        let (first, second) = lines.as_bytes().split_at(cut);
        assert_eq!(
            read(&[first, second], limit, 10).0.concat(),
            expected,
            "cut at {cut}"
        );
    }
}

#[test]
fn an_endless_line_is_reported() {
    let endless = vec![b'x'; 10 * 8 + 1];
    let (batches, end) = read(&[&endless, show("never").as_bytes()], 10, 10);
    assert_eq!(
        (batches.concat(), end),
        (vec!["LineTooLong".to_owned()], End::Endless)
    );
    let long = [&endless[1..], b"\n"].concat();
    let next = show("1");
    let (batches, end) = read(&[&long, b"{}\n", next.as_bytes()], 19, 10);
    assert_eq!(batches.concat(), ["LineTooLong", "InvalidValue", "1"]);
    assert_eq!(end, End::Closed);
}

#[test]
fn a_slow_sender_is_read_byte_by_byte() {
    let lines = [show("a"), show("b")].concat();
    let bytes: Vec<&[u8]> = lines.as_bytes().chunks(1).collect();
    assert_eq!(read(&bytes, 100, 10).0.concat(), ["a", "b"]);
}

proptest! {
    #[test]
    fn lines_do_not_depend_on_how_they_are_cut(
        ids in proptest::collection::vec("[a-z]{1,30}", 0..8),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let stream: String = ids.iter().map(|id| show(id)).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut begin = 0;
        for cut in cuts {
            pieces.push(&stream.as_bytes()[begin..cut]);
            begin = cut;
        }
        pieces.push(&stream.as_bytes()[begin..]);
        let expected: Vec<String> = ids
            .iter()
            .map(|id| if show(id).len() > 36 { "LineTooLong".to_owned() } else { id.clone() })
            .collect();
        prop_assert_eq!(read(&pieces, 35, 3).0.concat(), expected);
    }
}
