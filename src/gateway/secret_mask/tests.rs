use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;
use crate::domain::failure::FailureClass;

fn masked(key: &str, text: &str) -> String {
    let key = key.to_owned().into();
    let secrets = Secrets { credential: Some(&key), ..Secrets::default() };
    SecretMask::new(&secrets, Sought::Any).text(text.to_owned())
}

#[test]
fn a_secret_is_masked_in_every_way_of_writing_and_the_rest_stays() {
    const KEY: &str = "sk-a/b+c\"d\\e=~12345";
    let json = serde_json::to_string(KEY).unwrap();
    let unicode: Vec<String> = KEY.bytes().map(|byte| format!("\\u{byte:04X}")).collect();
    for written in [
        KEY.to_owned(),
        json.trim_matches('"').to_owned(),
        serde_json::to_string(&json).unwrap(),
        unicode.concat(),
        KEY.replace('/', "\\/"),
        utf8_percent_encode(KEY, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(KEY, NON_ALPHANUMERIC).to_string().to_lowercase(),
        KEY.replace('+', "%2b"),
        STANDARD.encode(KEY),
        URL_SAFE.encode(KEY),
        STANDARD.encode(format!("Bearer {KEY}")),
        STANDARD_NO_PAD.encode(format!("u:{KEY}")),
        URL_SAFE_NO_PAD.encode(format!("é{KEY}!")),
        STANDARD.encode(KEY).replace('=', "%3D").replace('+', "%2B"),
    ] {
        let text = masked(KEY, &format!("before é {written} after"));
        assert!(text.starts_with("before é ") && text.ends_with(" after"), "{written}: {text}");
        assert!(text.contains(MASK) && !text.contains("12345"), "{written}: {text}");
    }
}

#[test]
fn what_is_no_secret_stays_as_it_is() {
    let text = "100% \\o/ %zz \\u00 sk-12345 é";
    assert_eq!(masked("sk-12345678", text), text);
    assert_eq!(masked("1234567", "a 1234567"), "a 1234567");
}

#[test]
fn a_guess_at_the_beginning_of_a_secret_is_not_told_from_another() {
    let secret = "sk-0123456789abcdef";
    for end in 1..secret.len() {
        for padding in [0, 20, MAX_REASON_CHARS - end] {
            let asked = |guess: &str| {
                let text = format!("{}{guess}", "x".repeat(padding));
                let key = secret.to_owned().into();
                let secrets = Secrets { credential: Some(&key), ..Secrets::default() };
                let reason = Reason {
                    message: text.clone(),
                    param: Some(guess.to_owned()),
                    ..Reason::default()
                };
                let failure = Failure {
                    reason: Some(Box::new(reason)),
                    ..Failure::new(FailureClass::ClientFault, "")
                };
                let masked = *secrets.masked(failure).reason.unwrap();
                (masked.message.replace(guess, "?"), masked.param.unwrap() == guess)
            };
            let wrong = "!".repeat(end);
            assert_eq!(asked(&secret[..end]), asked(&wrong), "{end} {padding}");
        }
    }
}

#[test]
fn what_was_cut_does_not_end_within_a_secret() {
    let secret = "sk-0123456789abcdef";
    let key = secret.to_owned().into();
    let secrets = Secrets { credential: Some(&key), ..Secrets::default() };
    for kept in 1..secret.len() {
        let message = format!("{}{}", "x".repeat(MAX_REASON_CHARS - kept), &secret[..kept]);
        let reason = Reason { message, ..Reason::default() };
        let failure = Failure {
            reason: Some(Box::new(reason)),
            ..Failure::new(FailureClass::ClientFault, "")
        };
        let masked = *secrets.masked(failure).reason.unwrap();
        assert!(masked.message.bytes().all(|b| b == b'x'), "{kept}: {}", masked.message);
    }
}

#[test]
fn headers_and_proxies_are_looked_for_with_and_without_what_stands_around_them() {
    let header = |value: &str| SecretHeader { name: "x".into(), value: value.to_owned().into() };
    let headers = [header("Bearer abcdefgh1"), header("Basic dXNlcjpwYXNzd29yZDE=")];
    let own = [header("own-header-value")];
    let egress = Egress::parse("http://me:proxy%2Fpass1@proxy.test:3128").unwrap();
    let proxies = ["env-user:env-password@proxy.test:1".to_owned().into()];
    let secrets = Secrets {
        headers: [&headers, &own],
        egress: Some(&egress),
        proxies: &proxies,
        ..Secrets::default()
    };
    let mask = SecretMask::new(&secrets, Sought::Any);
    for secret in [
        "abcdefgh1",
        "dXNlcjpwYXNzd29yZDE=",
        "user:password1",
        "password1",
        "own-header-value",
        "proxy/pass1",
        "proxy%2Fpass1",
        "env-password",
        &STANDARD.encode("env-user:env-password"),
    ] {
        let text = mask.text(format!("<{secret}>"));
        assert!(text.starts_with('<') && !text.contains(&secret[..8]), "{secret}: {text}");
    }
    assert_eq!(mask.text("at proxy.test:3128".into()), "at proxy.test:3128");
}

#[test]
fn no_text_of_a_failure_is_left_out() {
    let key = "sk-0123456789".to_owned().into();
    let secrets = Secrets { exchanged: Some(&key), ..Secrets::default() };
    let word = || Some("<sk-0123456789>".to_owned());
    let reason = Reason { message: word().unwrap(), kind: word(), code: word(), param: word() };
    let failure = Failure {
        reason: Some(Box::new(reason)),
        ..Failure::new(FailureClass::ClientFault, "<sk-0123456789>")
    };
    let failure = secrets.masked(failure);
    assert!(!format!("{failure:?}").contains("0123"), "{failure:?}");
    let mut losses = Losses::default();
    losses.note("content.sk-0123456789");
    losses.note("image");
    assert_eq!(secrets.masked_losses(losses).to_string(), "image, unnamed");
}

proptest! {
    #[test]
    fn nothing_of_a_secret_is_left_wherever_it_stands(
        key in "[ -~]{8,24}", before in ".{0,9}", after in ".{0,9}", way in 0..6,
    ) {
        let key = key.trim();
        prop_assume!(key.len() >= 8);
        let written = match way {
            0 => key.to_owned(),
            1 => STANDARD.encode(key),
            2 => URL_SAFE.encode(format!("{before}{key}{after}")),
            3 => utf8_percent_encode(key, NON_ALPHANUMERIC).to_string(),
            4 => serde_json::to_string(key).unwrap(),
            _ => serde_json::to_string(&serde_json::to_string(key).unwrap()).unwrap(),
        };
        let text = masked(key, &format!("{before}{written}{after}"));
        prop_assert!(text.contains(MASK), "{}", text);
        prop_assert!(!text.contains(key) && !text.contains(&written), "{}", text);
        // It had no part in what stands around it.
        let rest = text.replace(MASK, "").len();
        prop_assert!(rest <= before.len() + after.len() + written.len() - 8, "{}", text);
    }
}

/// What stands in front of it may look like the beginning of an escape.
#[test]
fn a_secret_is_found_wherever_escapes_before_it_begin() {
    const KEY: &str = "0041 \"t/\\";
    let once = serde_json::to_string(KEY).unwrap();
    let twice = serde_json::to_string(&once).unwrap();
    let percent = utf8_percent_encode(KEY, NON_ALPHANUMERIC).to_string();
    for before in
        ["%", "%0", "%25%", "\\", "\\u", "\\u0", "\\u00", "\\\\", "\\\\u", "\\\\\\", "\\\\\\\\u00"]
    {
        for written in [KEY, once.trim_matches('"'), twice[3..twice.len() - 3].trim(), &percent] {
            let text = masked(KEY, &format!("{before}{written}%0"));
            assert_eq!(text, format!("{before}{MASK}%0"), "{before} {written}");
        }
    }
}

fn answer_masked(secrets: &Secrets<'_>, text: &str, foreign: &[Range<usize>]) -> String {
    let masked = secrets.masked_answer(text.as_bytes(), foreign);
    masked.map_or(text.to_owned(), |it| String::from_utf8(it.to_vec()).unwrap())
}

#[test]
fn a_secret_is_masked_in_an_answer_and_its_beginning_is_not() {
    let key = "sk-0123456789abcdef".to_owned().into();
    let header =
        SecretHeader { name: "x".into(), value: "Bearer abcdefgh12345678".to_owned().into() };
    let headers = [header];
    let secrets =
        Secrets { credential: Some(&key), headers: [&headers, &[]], ..Secrets::default() };
    for (seen, masked) in [
        ("a sk-0123456789abcdef b", "a **** b"),
        (r#"{"note":"abcdefgh12345678"}"#, r#"{"note":"****"}"#),
        (r#"{"note":"\n\u0073k-0123456789abcdef"}"#, r#"{"note":"\n****"}"#),
    ] {
        assert_eq!(answer_masked(&secrets, seen, &[]), masked);
    }
    for unseen in ["", "sk-0123456789", "Bearer", r"\n abcdefgh \u0073k-"] {
        assert!(secrets.masked_answer(unseen.as_bytes(), &[]).is_none(), "{unseen}");
    }
}

#[test]
fn a_secret_is_masked_in_an_answer_as_encoders_of_json_escape_it() {
    let key = "sk-live/abc/DEF&ghi+\"0123456789".to_owned().into();
    let secrets = Secrets { credential: Some(&key), ..Secrets::default() };
    for written in [
        r#"sk-live\/abc\/DEF&ghi+\"0123456789"#,
        r#"sk-live/abc/DEF\u0026ghi+\"0123456789"#,
        r"sk-live/abc/DEF\u0026ghi\u002B\u00220123456789",
    ] {
        let answer = format!(r#"{{"content":"\"you\" are {written}\n"}}"#);
        let masked = answer_masked(&secrets, &answer, &[]);
        assert_eq!(masked, r#"{"content":"\"you\" are ****\n"}"#, "{written}");
    }
}

#[test]
fn words_that_are_a_key_or_a_header_too_stay_in_an_answer() {
    let key = "lm-studio".to_owned().into();
    let header = |name: &str, value: &str| SecretHeader {
        name: name.into(),
        value: value.to_owned().into(),
    };
    let headers = [
        header("x-title", "documentation"),
        header("x-region", "europe west frankfurt"),
        header("anthropic-beta", "prompt-caching-2024-07-31"),
    ];
    let secrets =
        Secrets { credential: Some(&key), headers: [&headers, &[]], ..Secrets::default() };
    let words = "pip install lm-studio, the documentation of europe west frankfurt, prompt-caching-2024-07-31";
    assert!(secrets.masked_answer(words.as_bytes(), &[]).is_none());
    // What stands beside an answer may quote them.
    let foreign = format!("{words}|{words}|{words}");
    let part = words.len() + 1..2 * words.len() + 1;
    let masked = answer_masked(&secrets, &foreign, &[part]);
    assert_eq!(masked, format!("{words}|pip install ****, the **** of ****, ****|{words}"));
}

#[test]
fn an_answer_is_looked_through_around_what_is_foreign_in_it() {
    let key = "sk-0123456789abcdef".to_owned().into();
    let secrets = Secrets { credential: Some(&key), ..Secrets::default() };
    let text = "a sk-0123456789abcdef sk%2d0123456789abcdef b sk-0123456789abcdef";
    let foreign = 22..44;
    assert_eq!(answer_masked(&secrets, text, &[foreign]), "a **** **** b ****");
}
