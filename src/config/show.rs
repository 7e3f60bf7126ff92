//! The effective values, for a person to read.

use super::{Config, database::mask_url, secret::MASK};

/// TOML that means the same configuration, but for the secrets, which are masked.
pub fn to_toml(config: &Config) -> String {
    let mut shown = config.clone();
    shown.secrets.master_key_file = Some(config.secrets.key_file(&config.data));
    // Masked whole when written; the part that is no secret is put in its place below.
    shown.database.url = Some(config.database_url());
    let text = toml::to_string(&shown).expect("every section is a table of plain values");
    let database = mask_url(&config.database_url());
    let mut lines = Vec::new();
    let mut section = "";
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let line = match (section, line.split_once(" = ")) {
            ("[database]", Some(("url", _))) => format!("url = {}", toml::Value::from(&*database)),
            (_, Some((key, value))) => with_comment(key, value),
            (_, None) => line.to_owned(),
        };
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

/// A line of the form `key = value`, with a time or a size in words behind it.
fn with_comment(key: &str, value: &str) -> String {
    let number = value.parse::<u64>().ok();
    let comment = match number {
        Some(ms) if key.ends_with("_ms") => in_largest(ms, "ms", &[(60_000, "min"), (1000, "s")]),
        Some(bytes) if key.ends_with("_bytes") => {
            in_largest(bytes, "bytes", &[(1 << 20, "MiB"), (1 << 10, "KiB")])
        }
        _ if value.trim_matches('"') == MASK => "set, not shown".to_owned(),
        _ => return format!("{key} = {value}"),
    };
    format!("{key} = {value} # {comment}")
}

/// `amount` in the largest of `units` that divides it.
fn in_largest(amount: u64, unit: &str, units: &[(u64, &str)]) -> String {
    let fitting = units.iter().find(|(size, _)| amount >= *size && amount.is_multiple_of(*size));
    match fitting {
        Some((size, name)) => format!("{} {name}", amount / size),
        None => format!("{amount} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_readable() {
        let shown = to_toml(&Config::default());
        for line in [
            "timeout_ms = 600000 # 10 min",
            "flush_interval_ms = 250 # 250 ms",
            "keep_alive_ms = 15000 # 15 s",
            "hold_back_bytes = 65536 # 64 KiB",
            "url = \"data/providerpool.db\"",
            "master_key_file = \"data/master.key\"",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
        }
    }

    #[test]
    fn secrets_are_masked_and_the_rest_reads_back() {
        let text = r#"
            [database]
            url = "postgres://u:hunter2@h/d"
            [secrets]
            master_key = "aHVudGVyMg=="
            [[providers]]
            id = "a"
            base_url = "https://a.test/"
            api_keys = ["hunter2", "hunter3"]
            headers = { X-Key = "hunter2" }
        "#;
        let shown = to_toml(&toml::from_str(text).unwrap());
        assert!(!shown.contains("hunter") && !shown.contains("aHVu"), "{shown}");
        assert!(shown.contains("url = \"postgres://u:****@h/d\""), "{shown}");
        assert!(shown.contains("api_keys = [\"****\", \"****\"]"), "{shown}");
        toml::from_str::<Config>(&shown).unwrap();
    }
}
