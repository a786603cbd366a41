//! `check-config` on rules. If these tests fail, an operator learns of a mistake in a rule only from clients.

use super::{FORK, NOTICED, RANCHER_DESKTOP, config, with_config};
use crate::support::clock::Clock;
use crate::support::scratch::Scratch;
use crate::support::server::Ended;
use crate::support::wait_for;

#[track_caller]
fn assert_output(ended: &Ended, code: i32, texts: &[&str]) {
    let all = format!("stdout:\n{}stderr:\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(code), "{all}");
    for text in texts {
        assert!(all.contains(text), "{text:?} is not in\n{all}");
    }
}

#[test]
fn rules_are_listed_in_words() {
    let scratch = Scratch::new();
    let server = with_config(&scratch, FORK);
    let texts = [
        "rule 1             for clients with AppVersion \"<1.0.0\" and Platform \"darwin\" and Arch \"*\" and \
         PlatformVersion \"*\" only versions \"<2.0.0\" are supported\n",
        "installations      unknown: ",
        "good, warnings: 0",
    ];
    assert_output(&server.other_command("check-config", &[]), 0, &texts);
    let rule = r#"{"Name":"wave","Criteria":{},"Constraints":{"Version":"<1.1.0"},"Hide":true,"Share":5,
        "From":"2030-01-01T00:00:00Z","Until":"2030-01-08T00:00:00Z"}"#;
    let server = with_config(&scratch, &config(rule));
    let texts = [
        "rule 1 \"wave\"      for every client only versions \"<1.1.0\" are supported, others are hidden; lets \
         through 5 % from 2030-01-01T00:00:00Z on, growing to 100 % at 2030-01-08T00:00:00Z\n",
    ];
    assert_output(&server.other_command("check-config", &[]), 0, &texts);
}

#[test]
fn rules_without_effect_are_warned_about() {
    let scratch = Scratch::new();
    let rules = r#"
        {"Criteria":{"AppVersion":"<1.17.0"},"Constraints":{"Version":"<1.1.0"}},
        {"Criteria":{"AppVersion":"<1.5","hostArch":"x64"},"Constraints":{"Version":"<1.1.0"}},
        {"Criteria":{"AppVersion":">2 <1"},"Constraints":{"Version":">5"}},
        {"Criteria":{"hostArhc":"x64"},"Constraints":{"Version":"*"}},
        {"Criteria":{"hostArch":"mips"},"Constraints":{"Version":">2 <1"},"Hid":true},
        {"Criteria":{"tls":"<1"},"Constraints":{"Version":"<1.1.0"}},
        {"Criteria":{"country":"DE"},"Constraints":{"Version":"<1.1.0"},"Share":100},
        {"Criteria":{"Platform":"darwin"},"Constraints":{"Version":"<1.1.0"},"Share":5}"#;
    let schema = r#"{"extraTagInfoSchema":{"hostArch":{"dataType":"string","values":["x64","arm64"]}},
        "extraFieldInfoSchema":{"tls":{"dataType":"boolean"}}}"#;
    let server = with_config(&scratch, &config(rules)).without("--geodb");
    let server = server.arg("--request-schema", scratch.write("s.json", schema));
    let texts = [
        "warning:           rule 2 is never reached: rule 1 decides for all of its clients\n",
        "rule 3 never holds: no version meets AppVersion \">2 <1\"\n",
        "rule 3 supports nothing: no version of this file meets \">5\"\n",
        "rule 4 changes nothing: every version of this file meets \"*\"\n",
        "rule 4 never holds: the request schema has no key \"hostArhc\"\n",
        "rule 5 never holds: no value that the request schema allows for \"hostArch\" meets hostArch \"mips\"\n",
        "rule 5 supports nothing: no version meets \">2 <1\"\n",
        "rule 5: the key \"Hid\" has no effect\n",
        "rule 6 never holds: no value that the request schema allows for \"tls\" meets tls \"<1\"\n",
        "rule 7 never decides: it lets every client through",
        "rule 7 never holds: country needs a geo database",
        "rule 8 has a Share but neither Name nor Seed",
        "rule 8 never holds: the request schema has no tag \"platformVersion\"",
    ];
    assert_output(&server.other_command("check-config", &[]), 0, &texts);
}

#[test]
fn every_mistake_in_a_rule_is_named() {
    let scratch = Scratch::new();
    let rules = r#"
        {"Name":"one","Criteria":{"AppVersion":"==1","Platform":"drawin","Arch":"mips","PlatformVersion":null,
            "country":"Germany","hostArch":[],"a":{},"b":">=1.2.3.4.5"},"Constraints":{"Version":""}},
        {"Constraints":{"Version":1},"Reason":5,"Hide":"yes","Share":101,"From":"today","Seed":""},
        {"Criteria":{},"Constraints":{"Version":">9"},"Hide":true,"Name":"all gone"},
        {"Criteria":{},"Constraints":{"Version":"*"},"Until":"2030-01-01T00:00:00Z"},
        {"Criteria":{},"Constraints":{"Version":"*"},"Share":1,"Until":"2030-01-01T00:00:00Z"},
        {"Criteria":{},"Constraints":{"Version":"*"},"Share":1,"From":"2030-01-01T00:00:00Z",
            "Until":"2030-01-01T00:00:00Z"}, 7"#;
    let server = with_config(&scratch, &config(rules));
    let texts = [
        "rule 1 \"one\", Criteria.AppVersion: found \"==1\", expected a constraint such as",
        "rule 1 \"one\", Criteria.Platform: found \"drawin\", expected one of \"darwin\", \"linux\", \"win32\"",
        "rule 1 \"one\", Criteria.Arch: found \"mips\"",
        "rule 1 \"one\", Criteria.PlatformVersion: found null",
        "rule 1 \"one\", Criteria.country: found \"Germany\", expected the ISO code",
        "rule 1 \"one\", Criteria.hostArch: found [], expected at least one value",
        "rule 1 \"one\", Criteria.a: found {}, expected a string",
        "rule 1 \"one\", Criteria.b: found \">=1.2.3.4.5\"",
        "rule 1 \"one\", Constraints.Version: found \"\", expected a constraint",
        "rule 2, Criteria: found nothing, expected an object",
        "rule 2, Constraints.Version: found 1",
        "rule 2, Reason: found 5, expected a string that is not empty",
        "rule 2, Hide: found \"yes\", expected true or false",
        "rule 2, Share: found 101, expected a percentage",
        "rule 2, From: found \"today\", expected an RFC 3339 date",
        "rule 2, Seed: found \"\", expected a string that is not empty",
        "rule 4, Share: found nothing, expected a percentage, because From or Until is set",
        "rule 5, From: found nothing, expected an RFC 3339 date, because Until is set",
        "rule 6, Until: found a date that is not after From",
        "rule 7: found 7, expected an object",
        "errors: 20,",
    ];
    assert_output(&server.other_command("check-config", &[]), 78, &texts);
    let server = with_config(
        &scratch,
        &config(r#"{"Criteria":{},"Constraints":{"Version":">9"},"Hide":true,"Name":"all gone"}"#),
    );
    let texts =
        ["rule 1 \"all gone\", Constraints.Version: found \">9\", which hides every version"];
    assert_output(&server.other_command("check-config", &[]), 78, &texts);
}

#[test]
fn each_version_is_listed_with_the_installations_that_it_would_be_offered_to() {
    let scratch = Scratch::new();
    let Some(clock) = Clock::new(&scratch) else {
        return;
    };
    let server = with_config(&scratch, FORK).arg("--query-period", "1m");
    let server = server.arg("--down-sample-tags", "platform");
    // A time in a period that is over now.
    clock.set((jiff::Timestamp::now().as_second() / 60 - 3) * 60 + 5);
    let running = clock.of(server.clone()).start();
    let mut connection = running.connect();
    let mut check_in = |version: &str, platform: &str, count: usize| {
        for _ in 0..count {
            let body = super::rancher_desktop(version, platform, "12.7.6");
            assert_eq!(connection.post_checkin(&body, &[]).unwrap().status, 200);
        }
    };
    check_in("1.16.0", "darwin-arm64", 3);
    check_in("1.16.0", "win32-x64", 6);
    check_in("1.17.1", "win32-x64", 1);
    running.terminate();
    wait_for(NOTICED, "the last check-in to be counted", || {
        let said = server.other_command("check-config", &[]).stdout;
        said.contains("installations      10 in the period of ")
    });

    let service = server.without("--upgrade-response-config");
    let in_use = scratch.join("response-config.json");
    let new = scratch.write("new.json", RANCHER_DESKTOP.replace("<13.0.0", "*"));
    let service = service.env("UPGRADE_RESPONSE_CONFIG", &in_use);
    std::fs::write(&in_use, RANCHER_DESKTOP.replace("\"darwin\"", "\"linux\"")).unwrap();
    let ended = service.other_command(
        "check-config",
        &["--upgrade-response-config", new.to_str().unwrap()],
    );
    let texts = [
        "installations      10 in the period of ",
        "offered            \"v1.16.0\" to 10 of them, now to 10\n",
        "offered            \"v1.17.1\" to between 4 and 10 of them, now to 10\n",
    ];
    assert_output(&ended, 0, &texts);
}
