//! What does the request's line say, read strictly?
//!
//! Paths and query strings come here raw. Each part is percent-decoded exactly once and nothing is normalised, so a
//! partition's id arrives byte for byte: `%2F` is a slash inside an id, `%252F` is the text `%2F`.
//!
//! Invariants:
//! 1. What is not valid (a stray `%`, bytes that are not UTF-8, a name that comes twice) is an error, never a guess.
//! 2. A parameter that a route doesn't know is an error that names it: what is ignored could change who reads what.
//! 3. More than [`PARAMETERS_MAX`] parameters are refused before they are compared with each other.
//! 4. In a query `+` is a space, as forms have it; in a path it is a plus.

use std::ops::RangeInclusive;

use super::error::ApiError;

/// No route knows as many.
const PARAMETERS_MAX: usize = 128;

/// How a `+` is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plus {
    /// As in query strings.
    IsSpace,
    /// As in paths.
    IsPlus,
}

/// Decodes percent escapes once.
pub(crate) fn percent_decode(text: &str, plus: Plus) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|c| char::from(c).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(ApiError::malformed(
                        "malformed_url",
                        "a % in the address must be followed by two hexadecimal digits; write %25 for the sign itself",
                    ));
                };
                u8::try_from(high << 4 | low).unwrap_or(u8::MAX)
            }
            b'+' if plus == Plus::IsSpace => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| {
        ApiError::malformed("malformed_url", "the address holds percent escapes that are not UTF-8")
    })
}

/// The values that stand where `template` has `{…}`, decoded. The router has matched the two already.
pub(crate) fn path_values(template: &str, path: &str) -> Result<Vec<String>, ApiError> {
    let pairs = template.split('/').zip(path.split('/'));
    pairs
        .filter(|(part, _)| part.starts_with('{'))
        .map(|(_, value)| percent_decode(value, Plus::IsPlus))
        .collect()
}

/// The parameters of a query string, each at most once.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn parse(raw: &str) -> Result<Self, ApiError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in raw.split('&').filter(|part| !part.is_empty()) {
            if pairs.len() == PARAMETERS_MAX {
                return Err(ApiError::malformed(
                    "too_many_parameters",
                    format!(
                        "the address has more than {PARAMETERS_MAX} query parameters, which no route takes"
                    ),
                ));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = percent_decode(name, Plus::IsSpace)?;
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(ApiError::malformed(
                    "repeated_parameter",
                    format!("the query parameter {} comes twice; give it once", quoted(&name)),
                ));
            }
            pairs.push((name, percent_decode(value, Plus::IsSpace)?));
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter, which may be empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, if it isn't empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// `true` or `false`; false when it isn't there.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(ApiError::malformed("invalid_parameter", format!("{name} must be true or false"))),
        }
    }

    /// A whole number within a range.
    pub(crate) fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse::<u64>().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            let upper = if *high == u64::MAX { String::new() } else { format!(" to {high}") };
            ApiError::malformed(
                "invalid_parameter",
                format!("{name} must be a whole number from {low}{upper}"),
            )
        })
    }

    /// The names in the order they came.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str())
    }

    /// Refuses what the route doesn't know.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        match self.names().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => Err(ApiError::malformed(
                "unknown_parameter",
                format!(
                    "this route knows no query parameter {}; it knows: {}",
                    quoted(name),
                    known.join(", ")
                ),
            )),
        }
    }
}

/// A caller's word inside an error's text: quoted, and short.
fn quoted(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: two different partition ids would reach the same partition, or one could not be named at all.
    #[test]
    fn ids_arrive_byte_for_byte() {
        let table = [
            ("a%2Fb", "a/b"),
            ("..%2F..%2Fx", "../../x"),
            ("%00", "\0"),
            ("%252e", "%2e"),
            ("%2e", "."),
            ("a%20", "a "),
            ("%F0%9F%98%80", "😀"),
            ("a+b", "a+b"),
            ("%D0%B0cme", "аcme"),
            ("A", "A"),
        ];
        for (raw, id) in table {
            let path = format!("/v1/partitions/{raw}");
            assert_eq!(path_values("/v1/partitions/{id}", &path).unwrap(), [id], "{raw}");
        }
        assert_eq!(Query::parse("partition=a%2Fb%20+").unwrap().get("partition"), Some("a/b  "));
        assert_eq!(Query::parse("partition=").unwrap().get("partition"), Some(""));
        assert_eq!(Query::parse("partition").unwrap().get("partition"), Some(""));
    }

    /// Lost otherwise: a proxy that reads the first `partition` and a server that reads the last would disagree.
    #[test]
    fn what_is_ambiguous_or_broken_is_refused() {
        let code = |raw: &str| Query::parse(raw).err().map(|error| error.code);
        assert_eq!(code("partition=a&partition=b"), Some("repeated_parameter"));
        assert_eq!(code("partition=a&%70artition=b"), Some("repeated_parameter"));
        for raw in ["q=%", "q=%4", "q=%zz", "q=%+1", "q=%ff", "q=%c3%28", "%ff=q"] {
            assert_eq!(code(raw), Some("malformed_url"), "{raw}");
        }
        let query = Query::parse("q=x&partion=acme").unwrap();
        let error = query.only(&["q", "partition"]).unwrap_err();
        assert!(error.text.contains("\"partion\""), "{}", error.text);
    }

    /// Lost otherwise: an address full of parameters would cost seconds of the processor.
    #[test]
    fn there_is_an_end_to_parameters() {
        let of = |count: usize| (0..count).map(|at| format!("p{at}=x")).collect::<Vec<_>>().join("&");
        assert!(Query::parse(&of(PARAMETERS_MAX)).is_ok());
        let refused = Query::parse(&of(PARAMETERS_MAX + 1)).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code), (400, "too_many_parameters"));
    }

    /// Lost otherwise: a limit of -1 or 1e9 would reach the engine.
    #[test]
    fn numbers_stay_in_range() {
        let query = Query::parse("k=10&zero=0&minus=-1&half=1.5&plus=%2B3").unwrap();
        assert_eq!(query.number("k", 1..=1000).unwrap(), Some(10));
        assert_eq!(query.number("absent", 1..=1000).unwrap(), None);
        for name in ["zero", "minus", "half"] {
            assert!(query.number(name, 1..=1000).is_err(), "{name}");
        }
        assert!(query.number("k", 1..=9).unwrap_err().text.contains("1 to 9"));
    }
}
