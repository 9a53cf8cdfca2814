//! Does every relative link of every document lead to a file, and every anchor to a heading?
//!
//! Knows inline links, reference definitions and `href`/`src` of embedded HTML. Code blocks and code spans are
//! skipped. Anchors follow GitHub's rule: lower case, spaces become hyphens, other punctuation goes away,
//! repeats get `-1`, `-2`.

use std::collections::BTreeMap;

use super::tree::{Finding, Tree, folder_of, join};

/// Relative links whose target or anchor isn't there.
pub fn links_lead_somewhere(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, text) in tree.ending(".md") {
        for (line, link) in links(text) {
            if let Some(what) = dead(tree, file, text, &link) {
                found.push(Finding::new(file, line, format!("dead link {link}: {what}")));
            }
        }
    }
    found
}

fn dead(tree: &Tree, file: &str, text: &str, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(p, a)| (p, Some(a)));
    let target = if path.is_empty() {
        Some(file.to_owned())
    } else {
        join(folder_of(file), &path.replace("%20", " "))
    };
    let Some(target) = target.filter(|t| tree.has(t)) else {
        return Some("no such file".to_owned());
    };
    let anchor = anchor?;
    let headings = if target == file { anchors(text) } else { anchors(tree.text(&target)?) };
    (target.ends_with(".md") && !headings.iter().any(|h| h == anchor))
        .then(|| format!("no heading #{anchor}"))
}

/// The lines of a document that are not in a fenced block, with code spans blanked; line numbers from 1.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mark = ["```", "~~~"].into_iter().find(|m| line.trim_start().starts_with(m));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => lines.push((index + 1, without_code(line))),
            _ => {}
        }
    }
    lines
}

fn without_code(line: &str) -> String {
    if line.matches('`').count() % 2 == 1 {
        return line.to_owned();
    }
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// Every link of a document with its line.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        for part in line.split("](").skip(1) {
            links.extend(
                part.split([')', ' ']).next().map(|l| (number, l.trim_matches(['<', '>']).to_owned())),
            );
        }
        for attribute in ["href=\"", "src=\""] {
            for part in line.split(attribute).skip(1) {
                links.extend(part.split('"').next().map(|l| (number, l.to_owned())));
            }
        }
        if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            links.extend(target.split_whitespace().next().map(|l| (number, l.to_owned())));
        }
    }
    links
}

/// The anchors of a document's headings.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = Vec::new();
    let mut in_fence = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        }
        let level = line.chars().take_while(|c| *c == '#').count();
        if in_fence || level == 0 || level > 6 || !line[level..].starts_with(' ') {
            continue;
        }
        let slug = slug(&line[level + 1..]);
        let count = seen.entry(slug.clone()).and_modify(|n| *n += 1).or_insert(0);
        anchors.push(if *count == 0 { slug } else { format!("{slug}-{count}") });
    }
    anchors
}

fn slug(heading: &str) -> String {
    let shown = heading.split("](").next().unwrap_or(heading);
    let kept = shown.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{anchors, links_lead_somewhere};
    use crate::house::tree::Tree;

    fn found(readme: &str) -> usize {
        let other = ("docs/other.md", "# One Thing\n## `a_b` (8 bytes)\n## One thing\n");
        links_lead_somewhere(&Tree::of(&[("docs/README.md", readme), other, ("LICENSE", "")])).len()
    }

    // A newcomer who follows a dead link of the manual is lost at the first step.
    #[test]
    fn dead_links_are_found() {
        for dead in [
            "[a](gone.md)",
            "[a](other.md#gone)",
            "[a](../../x)",
            "[a]: gone.md",
            "<img src=\"gone.png\">",
            "[a](#gone)",
        ] {
            assert_eq!(found(dead), 1, "{dead}");
        }
        for alive in [
            "[a](other.md#one-thing-1) and [b](other.md#a_b-8-bytes)",
            "[a](../LICENSE) [b](https://example.com/x) [c](../docs)",
            "# Here\n[a](#here)",
            "`[a](gone.md)`\n```\n[a](gone.md)\n```",
        ] {
            assert_eq!(found(alive), 0, "{alive}");
        }
    }

    #[test]
    fn anchors_follow_the_usual_rule() {
        assert_eq!(anchors("# What's here?\n```\n# no\n```\n## Über `x`"), ["whats-here", "über-x"]);
    }
}
