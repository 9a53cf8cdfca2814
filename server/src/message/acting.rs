//! On whose behalf does a request say that it is made?
//!
//! `acting_principal` names somebody by a label, and `acting_groups` the groups that they act with: both are words of the
//! caller's own, which stand in documents' `acl_readers`. The caller vouches for them.

use super::error::ApiError;
use super::query::Query;

/// The parameters by which a request says so. Every route takes them.
pub(crate) const PARAMETERS: [&str; 2] = ["acting_principal", "acting_groups"];

/// Labels of one request: so many, and each so long.
const LABELS_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 256;

/// The labels that a request acts under: the principal's, then those of its groups. `None` when it names nobody.
pub(crate) fn labels(query: &Query) -> Result<Option<Vec<String>>, ApiError> {
    let wrong = |text: String| Err(ApiError::malformed("invalid_principal", text));
    let [principal, groups] = PARAMETERS.map(|name| query.get(name));
    let Some(principal) = principal.map(str::trim) else {
        return match groups {
            None => Ok(None),
            Some(_) => wrong("acting_groups goes with acting_principal, who acts with them".to_owned()),
        };
    };
    if principal.is_empty() || principal.contains(',') {
        return wrong("acting_principal is one label, not blank and without a comma".to_owned());
    }
    let groups = groups.unwrap_or_default().split(',').map(str::trim).filter(|group| !group.is_empty());
    let labels: Vec<String> = std::iter::once(principal).chain(groups).map(str::to_owned).collect();
    if labels.len() > LABELS_MAX || labels.iter().any(|label| label.len() > LABEL_BYTES_MAX) {
        return wrong(format!(
            "a request acts under {LABELS_MAX} labels at most, of {LABEL_BYTES_MAX} bytes each"
        ));
    }
    Ok(Some(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a request for somebody who isn't named would be answered as one for nobody, who may see more.
    #[test]
    fn a_principal_is_named_or_the_request_refused() {
        let told = |raw: &str| labels(&Query::parse(raw).unwrap()).map_err(|error| error.code);
        let own =
            |labels: &[&str]| Ok(Some(labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>()));
        assert_eq!(told("q=x"), Ok(None));
        assert_eq!(told("acting_principal=%20user%3Aada%20"), own(&["user:ada"]));
        assert_eq!(told("acting_principal=a&acting_groups=g,%20h,,"), own(&["a", "g", "h"]));
        for bad in ["acting_principal=", "acting_principal=%20", "acting_principal=a,b", "acting_groups=g"] {
            assert_eq!(told(bad), Err("invalid_principal"), "{bad}");
        }
        assert!(told(&format!("acting_principal={}", "x".repeat(257))).is_err());
        assert!(told(&format!("acting_principal=a&acting_groups={}", "g,".repeat(64))).is_err());
    }
}
