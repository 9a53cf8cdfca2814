//! How does usage look as CSV?
//!
//! As RFC 4180 has it: a line of names, then a line for each row; texts with a comma, a quotation mark or a break of lines stand
//! in quotation marks.

use serde_json::Value;

/// Which rows of an answer become lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    Day,
    Collection,
    Key,
    Partition,
}

const SUMS: [&str; 9] = [
    "queries",
    "inserts",
    "deletes",
    "embedding_tokens",
    "bytes_in",
    "avg_latency_ms",
    "feedback_used",
    "feedback_cited",
    "feedback_ignored",
];
const STORED: [&str; 3] = ["documents", "chunks", "storage_bytes"];

impl Rows {
    /// The lines.
    pub(super) fn text(self, answer: &Value) -> String {
        let (rows, first, last): (_, &[&str], &[&str]) = match self {
            Self::Day => (&answer["by_day"], &["date"], &STORED),
            Self::Key => (&answer["by_key"], &["key_id"], &[]),
            Self::Partition => (&answer["by_partition"]["partitions"], &["collection", "partition"], &STORED),
            Self::Collection => (
                &answer["by_collection"],
                &["collection"],
                &["documents", "chunks", "storage_bytes", "embedding_cost_usd_estimate"],
            ),
        };
        let columns: Vec<_> = first.iter().chain(&SUMS).chain(last).copied().collect();
        let mut text = columns.join(",") + "\r\n";
        for row in rows.as_array().into_iter().flatten() {
            let fields: Vec<_> = columns.iter().map(|column| field(&row[*column])).collect();
            text += &(fields.join(",") + "\r\n");
        }
        text
    }
}

fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.contains([',', '"', '\r', '\n']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Lost otherwise: a partition's id with a comma would shift every figure behind it into another column of the bill.
    #[test]
    fn ids_of_any_kind_stay_in_their_column() {
        let row = json!({"collection": "default", "partition": "a,\"b\"\r\nc", "queries": 2, "avg_latency_ms": 0.5});
        let text = Rows::Partition.text(&json!({"by_partition": {"partitions": [row]}}));
        let (head, line) = text.split_once("\r\n").unwrap();
        assert!(head.starts_with("collection,partition,queries,inserts,"), "{head}");
        assert_eq!(line, "default,\"a,\"\"b\"\"\r\nc\",2,,,,,0.5,,,,,,\r\n");
    }
}
