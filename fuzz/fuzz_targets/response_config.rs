//! The response config: refused with at least one problem, or rendered as JSON with the same versions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use upgrade_responder::config::response;

fuzz_target!(|text: &str| {
    let config = match response::parse(text) {
        Ok(config) => config,
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.to_string().contains('\n'));
            }
            return;
        }
    };
    assert!(config.latest().is_latest());
    let answer: serde_json::Value = serde_json::from_slice(&config.render_answer(60)).unwrap();
    assert_eq!(
        answer["versions"].as_array().unwrap().len(),
        config.versions().len()
    );
    assert_eq!(answer["requestIntervalInMinutes"], 60);
    for rule in 0..config.rules().iter().len() {
        let answer = config.render_outcome(Some(rule), 60);
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        let versions = answer["versions"].as_array().unwrap();
        assert!((1..=config.versions().len()).contains(&versions.len()));
        let text = answer["versions"].to_string();
        assert!(text.contains("\"latest\""), "no latest: {text}");
    }
});
