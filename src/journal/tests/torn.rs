//! Cuts, flipped bits and holes at the end of the log.

use super::*;

fn three_commits() -> Vec<Vec<Record>> {
    vec![
        vec![submitted(1), submitted(2)],
        vec![changed(1, 1)],
        vec![submitted(3), changed(2, 2), removed(&[1])],
    ]
}

fn example() -> (TempDir, Vec<Record>) {
    let folder = folder();
    let commits = three_commits();
    let slices: Vec<&[Record]> = commits.iter().map(Vec::as_slice).collect();
    write(folder.path(), &slices);
    (folder, commits.concat())
}

/// Where each frame begins, the header included, and the end.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let mut ends = vec![0];
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            ends.push(at + 1);
        }
    }
    ends
}

fn has_torn_file(folder: &Path, bytes: &[u8]) -> bool {
    let kept = listing::segment_path(folder, 1).with_extension("wal.torn-1");
    fs::read(kept).is_ok_and(|content| content == bytes)
}

#[test]
fn records_come_back_in_order_with_their_numbers() {
    let (folder, records) = example();
    let (opened, loaded) = open(folder.path()).unwrap();
    assert_eq!(loaded, records);
    assert_eq!(opened.journal.last_lsn(), Lsn(records.len() as u64));
    assert!(opened.warnings.is_empty());
    let size = fs::metadata(segment(folder.path(), 1)).unwrap().len();
    assert_eq!(opened.journal.bytes(), size);
}

#[test]
fn without_a_marker_a_cut_at_any_byte_leaves_whole_records_and_keeps_the_rest() {
    let (folder, records) = example();
    let bytes = fs::read(segment(folder.path(), 1)).unwrap();
    let ends = boundaries(&bytes);
    for cut in ends[1]..bytes.len() {
        let copy = copy(folder.path());
        forget_marker(copy.path());
        fs::write(segment(copy.path(), 1), &bytes[..cut]).unwrap();
        let (mut opened, loaded) = open(copy.path()).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut).count() - 2;
        assert_eq!(loaded, records[..whole], "cut at {cut}");
        let is_torn = !ends.contains(&cut);
        assert_eq!(opened.warnings.len(), usize::from(is_torn), "cut at {cut}");
        if is_torn {
            assert!(has_torn_file(copy.path(), &bytes[ends[whole + 1]..cut]));
        }
        opened.journal.commit(&[submitted(50)]).unwrap();
        drop(opened);
        let again = records_of(copy.path());
        assert_eq!(again.last(), Some(&submitted(50)));
        assert_eq!(again.len(), whole + 1);
    }
}

#[test]
fn with_a_marker_a_cut_at_any_byte_is_refused_with_file_and_offset_and_changes_nothing() {
    let (folder, _) = example();
    let bytes = fs::read(segment(folder.path(), 1)).unwrap();
    for cut in 0..bytes.len() {
        let copy = copy(folder.path());
        fs::write(segment(copy.path(), 1), &bytes[..cut]).unwrap();
        let before = contents(copy.path());
        let error = open(copy.path()).unwrap_err();
        let JournalError::Damaged { path, offset, .. } = &error else {
            panic!("cut at {cut}: {error}");
        };
        assert_eq!(*path, segment(copy.path(), 1));
        assert!(*offset <= cut as u64);
        assert!(error.hint().contains("wezterm-parallel doctor --repair"));
        assert_eq!(contents(copy.path()), before);
    }
}

#[test]
fn with_a_marker_every_flipped_bit_is_refused() {
    let (folder, _) = example();
    let bytes = fs::read(segment(folder.path(), 1)).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(segment(folder.path(), 1), flipped).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(error.is_loss(), "bit {bit}: {error}");
    }
    fs::write(segment(folder.path(), 1), bytes).unwrap();
    assert!(open(folder.path()).is_ok());
}

#[test]
fn without_a_marker_a_flipped_bit_costs_at_most_a_last_newline() {
    let (folder, records) = example();
    let bytes = fs::read(segment(folder.path(), 1)).unwrap();
    for bit in 0..bytes.len() * 8 {
        let copy = copy(folder.path());
        forget_marker(copy.path());
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(segment(copy.path(), 1), &flipped).unwrap();
        match open(copy.path()) {
            Err(error) => assert!(error.is_loss(), "bit {bit}: {error}"),
            Ok((_, loaded)) => {
                // No newline, or a NUL: from the file alone, this is a write that was torn.
                let last = boundaries(&bytes).into_iter().rev().nth(3).unwrap();
                assert!(bit / 8 == bytes.len() - 1 || flipped[bit / 8] == 0);
                assert!(bit / 8 >= last && records.starts_with(&loaded), "bit {bit}");
            }
        }
    }
}

#[test]
fn a_zeroed_block_is_refused_where_it_was_synced() {
    let (folder, _) = example();
    let bytes = fs::read(segment(folder.path(), 1)).unwrap();
    for start in (0..bytes.len()).step_by(16) {
        for length in [16, 64, 512] {
            let mut holed = bytes.clone();
            let end = (start + length).min(bytes.len());
            holed[start..end].fill(0);
            fs::write(segment(folder.path(), 1), holed).unwrap();
            assert!(open(folder.path()).unwrap_err().is_loss());
        }
    }
}

#[test]
fn zeros_behind_the_last_record_are_cut() {
    for with_marker in [true, false] {
        let (folder, records) = example();
        if !with_marker {
            forget_marker(folder.path());
        }
        let mut bytes = fs::read(segment(folder.path(), 1)).unwrap();
        bytes.extend([0; 4096]);
        fs::write(segment(folder.path(), 1), bytes).unwrap();
        assert_eq!(records_of(folder.path()), records);
        assert!(has_torn_file(folder.path(), &[0; 4096]));
    }
}

#[test]
fn without_a_marker_a_hole_before_a_later_commit_is_damage() {
    let (folder, _) = example();
    forget_marker(folder.path());
    let mut bytes = fs::read(segment(folder.path(), 1)).unwrap();
    let ends = boundaries(&bytes);
    bytes[ends[1]..ends[2]].fill(0);
    fs::write(segment(folder.path(), 1), bytes).unwrap();
    let before = contents(folder.path());
    let error = open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("later commits follow"), "{error}");
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn a_page_that_a_power_loss_kept_from_the_disk_tears_its_whole_commit() {
    let (folder, records) = example();
    forget_marker(folder.path());
    let mut bytes = fs::read(segment(folder.path(), 1)).unwrap();
    let ends = boundaries(&bytes);
    // The last commit's first record is lost, its second and third have reached the disk.
    bytes[ends[4]..ends[5]].fill(0);
    fs::write(segment(folder.path(), 1), bytes).unwrap();
    assert_eq!(records_of(folder.path()), records[..3]);
}

#[test]
fn beyond_the_marker_anything_but_a_later_commit_is_torn() {
    for garbage in [&b"garbage"[..], b"garbage\n", b"\n", b"00000010 0000"] {
        let (folder, records) = example();
        let path = segment(folder.path(), 1);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(garbage);
        fs::write(&path, bytes).unwrap();
        assert_eq!(records_of(folder.path()), records);
        assert!(has_torn_file(folder.path(), garbage));
    }
}

#[test]
fn records_beyond_the_marker_count() {
    let (folder, records) = example();
    let marker = fs::read(marker::path(folder.path())).unwrap();
    write(folder.path(), &[&[submitted(60)]]);
    fs::write(marker::path(folder.path()), marker).unwrap();
    assert_eq!(records_of(folder.path()).len(), records.len() + 1);
}

#[test]
fn torn_files_are_numbered() {
    let (folder, records) = example();
    let path = segment(folder.path(), 1);
    let whole = fs::read(&path).unwrap();
    for n in 1..=3 {
        let torn = [&whole[..], b"torn"].concat();
        fs::write(&path, torn).unwrap();
        assert_eq!(records_of(folder.path()), records);
        assert!(path.with_extension(format!("wal.torn-{n}")).exists());
    }
}
