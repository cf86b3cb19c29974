//! No output makes the transcript or the renderer panic, none that breaks off is a success, and no control
//! character gets through.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wezterm_parallel::claude::{End, Outcome, Renderer, Style, Transcript};

fuzz_target!(|output: &[u8]| {
    let mut transcript = Transcript::new();
    let mut renderer = Renderer::new(Style::default());
    let mut shown = String::new();
    for line in output.split(|byte| *byte == b'\n') {
        transcript.line(line);
        renderer.line(line, &mut shown);
    }
    renderer.finish(&mut shown);
    assert!(shown.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "{shown:?}");
    let cut_off = transcript.conclude(&End {
        exit_code: Some(0),
        partial_line: true,
        ..End::default()
    });
    assert!(!matches!(cut_off.outcome, Outcome::Ok | Outcome::Denied), "{cut_off:?}");
    let failed = transcript.conclude(&End {
        exit_code: Some(1),
        ..End::default()
    });
    assert_ne!(failed.outcome, Outcome::Ok);
});
