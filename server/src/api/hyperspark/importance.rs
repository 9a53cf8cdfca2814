//! How important is a memory?
//!
//! A number from 0 to 1 that its writer gives, or that a few plain rules give for its words. No model: the same text has the
//! same importance everywhere, and whoever reads the rules can tell why. They are English where they name words; in other
//! languages figures and questions count all the same.

/// What people say when something is to be kept in mind, each between white space or punctuation.
const MARKS: [&str; 20] = [
    "remember",
    "important",
    "always",
    "never",
    "must",
    "need",
    "needs",
    "prefer",
    "prefers",
    "allergic",
    "deadline",
    "birthday",
    "budget",
    "password",
    "my",
    "i'm",
    "am",
    "favorite",
    "favourite",
    "decided",
];

/// The importance of a text that somebody in this role said.
pub(super) fn of(role: &str, text: &str) -> f64 {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|word| !word.is_empty()).collect();
    let tenths = [
        if role == "user" { 4 } else { 3 },
        if words.iter().any(|word| MARKS.contains(word)) { 3 } else { 0 },
        if text.chars().any(char::is_numeric) { 2 } else { 0 },
        if is_question(text) { -2 } else { 0 },
        if words.len() < 3 { -1 } else { 0 },
    ];
    f64::from(tenths.into_iter().sum::<i32>().clamp(0, 10)) / 10.0
}

fn is_question(text: &str) -> bool {
    text.trim_end().ends_with(['?', '？', '؟'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: importance would mean another thing than the documentation says.
    #[test]
    fn the_rules_are_as_they_are_told() {
        for (role, text, expected) in [
            ("user", "The weather is nice today", 0.4),
            ("assistant", "The weather is nice today", 0.3),
            ("user", "Our Q4 budget is $50,000", 0.9),
            ("user", "Remember the milk, please", 0.7),
            ("user", "What is my budget for 2026?", 0.7),
            ("user", "ok", 0.3),
            ("assistant", "Why?", 0.0),
            ("user", "Встреча 14 мая в полдень", 0.6),
            ("user", "army family mystery", 0.4),
        ] {
            assert_eq!(of(role, text), expected, "{role}: {text}");
        }
    }
}
