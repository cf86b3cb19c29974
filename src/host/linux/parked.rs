//! Free memory that the kernel does not count as available: what each processor keeps on lists of its own.
//!
//! Since Linux 6.7 these lists grow with what ended processes give back, to an eighth of the memory, and stay for as long
//! as nobody asks for more: a gigabyte of it was measured on a machine with 24. `MemAvailable` is without it, so that a
//! worker's memory would seem to be in use long after its end.

use std::path::Path;

use super::files::Files;
use crate::platform::page_size;

const ZONES: &str = "/proc/zoneinfo";
/// On a machine with hundreds of processors the file is long and takes its time: what is not read of it is not counted.
const READ_AT_MOST: u64 = 64 << 10;
/// A part of all memory. It is half of what is kept free by default: the kernel, which goes by its own count,
/// must not run short because of what is counted here.
const PART_AT_MOST: u64 = 20;

/// In bytes; 0 where it is not told.
pub(super) fn bytes(files: &mut Files, total_bytes: u64) -> u64 {
    let text = files.beginning(Path::new(ZONES), READ_AT_MOST);
    let pages = text.map_or(0, |text| pages(&text));
    pages.saturating_mul(page_size()).min(total_bytes / PART_AT_MOST)
}

/// The sum of `count:`, which each zone tells for each processor.
fn pages(text: &str) -> u64 {
    let counts = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("count:"));
    let pages = counts.filter_map(|count| count.trim().parse::<u64>().ok());
    pages.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "\
Node 0, zone   Normal
  pages free     3021
        boost    0
      nr_free_pages 3021
  pagesets
    cpu: 0
              count:    1444
              high:     1444
              batch:    63
              high_max: 48307
  vm stats threshold: 24
    cpu: 1
              count:    68
              high:     1444
  node_unreclaimable:  0
";

    #[test]
    fn all_lists_are_summed_up_and_no_more_than_a_part_is_counted() {
        let root = tempfile::tempdir().expect("a folder");
        let mut files = Files::below(root.path());
        assert_eq!(bytes(&mut files, 1 << 40), 0, "no such file");
        std::fs::create_dir(root.path().join("proc")).expect("a folder");
        std::fs::write(root.path().join("proc/zoneinfo"), TOLD).expect("a file");
        let page_size = page_size();
        assert_eq!(bytes(&mut files, 1 << 40), 1_512 * page_size);
        assert_eq!(bytes(&mut files, 100 * page_size), 5 * page_size);
    }

    #[test]
    fn what_is_cut_off_or_no_number_counts_for_nothing() {
        assert_eq!(pages("  count: 7\n count: \n count: x\n  count: 5"), 12);
        assert_eq!(pages(""), 0);
    }
}
