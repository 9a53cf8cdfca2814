//! How is a span of time written in a setting?
//!
//! A whole number and its unit: `30d`, `12h`, `10m`, `45s`. A number without a unit is refused: nobody guesses days for
//! seconds.

const UNITS: [(char, u64); 4] = [('s', 1000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];

/// The span in milliseconds. The error is one line that says what `setting` should be.
pub(crate) fn parse_ms(setting: &str, text: &str) -> Result<u64, String> {
    let text = text.trim();
    let parsed = UNITS.iter().find_map(|(unit, ms)| {
        let number = text.strip_suffix(*unit)?;
        let is_plain = number.bytes().all(|digit| digit.is_ascii_digit());
        number.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(*ms)
    });
    parsed.ok_or_else(|| {
        format!("{setting} is {text:?}; write a whole number and its unit, such as 30d, 12h, 10m or 45s")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: documents could be restored for 30 seconds where the operator meant 30 days.
    #[test]
    fn a_span_has_a_unit() {
        for (text, ms) in
            [("45s", 45_000), ("10m", 600_000), (" 12h ", 43_200_000), ("30d", 2_592_000_000), ("0s", 0)]
        {
            assert_eq!(parse_ms("x", text), Ok(ms), "{text}");
        }
        for text in ["", "30", "d", "-1d", "+1d", "1.5h", "1 d", "1w", "30D", "999999999999999999d"] {
            let error = parse_ms("retention", text).unwrap_err();
            assert!(error.contains("retention") && error.contains("30d"), "{error}");
        }
    }
}
