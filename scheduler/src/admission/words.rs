//! Amounts and times as reports say them.

/// The whole of something, in parts per thousand.
pub(crate) const ALL_PERMILLE: u32 = 1_000;

const MIB: u64 = 1 << 20;
const GIB_TENTH: u64 = (1 << 30) / 10;

/// `400 MiB`, `1.2 GiB`. Rounded down.
pub(crate) fn bytes(bytes: u64) -> String {
    let mebibytes = bytes / MIB;
    if mebibytes < 1_000 {
        return format!("{mebibytes} MiB");
    }
    let tenths = bytes / GIB_TENTH;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

/// `90 %`, `4.5 %`.
pub(crate) fn share(permille: u32) -> String {
    match permille % 10 {
        0 => format!("{} %", permille / 10),
        tenths => format!("{}.{tenths} %", permille / 10),
    }
}

/// `2`, `1.5`, `0.25`.
pub(crate) fn cpus(milli: u64) -> String {
    let decimals = format!("{}.{:03}", milli / 1_000, milli % 1_000);
    decimals.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `0.4 s`, of how old a reading is.
pub(crate) fn age(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

pub(crate) fn workspace(workspace: &str) -> String {
    if workspace.is_empty() {
        "no workspace".to_owned()
    } else {
        format!("workspace {workspace}")
    }
}

/// Rounded up, in at most two units: a wait that is announced is never shorter than the real one.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    let minutes = seconds.div_ceil(60);
    let hours = minutes.div_ceil(60);
    match (ms, seconds, minutes, hours) {
        (..1_000, ..) => format!("{ms} ms"),
        (_, ..120, ..) => format!("{seconds} s"),
        (_, _, ..120, _) => format!("{minutes} min"),
        (_, _, _, ..48) => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::{age, bytes, cpus, duration, share};

    #[test]
    fn amounts_read_as_people_say_them() {
        let words = [0, 400 << 20, 999 << 20, 1 << 30, 1_288_490_189, 256 << 30].map(bytes);
        assert_eq!(
            words,
            ["0 MiB", "400 MiB", "999 MiB", "1.0 GiB", "1.2 GiB", "256.0 GiB"]
        );
        assert_eq!([900, 45, 1_003].map(share), ["90 %", "4.5 %", "100.3 %"]);
        assert_eq!(
            [2_000, 1_500, 250, 0, 64_000].map(cpus),
            ["2", "1.5", "0.25", "0", "64"]
        );
        assert_eq!([0, 449, 12_050].map(age), ["0.0 s", "0.4 s", "12.0 s"]);
    }

    #[test]
    fn durations_use_the_units_people_would() {
        let words: Vec<String> = [0, 999, 1_000, 1_001, 119_000, 120_000, 7_200_000, 7_260_000]
            .into_iter()
            .chain([47 * 3_600_000, 49 * 3_600_000])
            .map(duration)
            .collect();
        let expected = [
            "0 ms",
            "999 ms",
            "1 s",
            "2 s",
            "119 s",
            "2 min",
            "2 h 0 min",
            "2 h 1 min",
            "47 h 0 min",
            "2 d 1 h",
        ];
        assert_eq!(words, expected);
    }
}
