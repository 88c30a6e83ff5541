//! The name that was perhaps meant: shared n-grams choose candidates, edit distance ranks them.

use std::collections::HashMap;

/// Candidates that the costlier comparison looks at.
const CANDIDATES_MAX: usize = 50;

/// The most similar of some names, if it is similar enough (0 to 1).
pub fn closest<'a>(names: impl IntoIterator<Item = &'a str>, wanted: &str, score_min: f64) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let names: Vec<(&str, String)> = names.into_iter().map(|name| (name, name.to_lowercase())).collect();
    if let Some((exact, _)) = names.iter().find(|(_, lower)| *lower == wanted) {
        return Some((*exact).to_owned());
    }
    [3, 2].into_iter().find_map(|size| {
        let grams = grams(&wanted, size);
        let mut candidates: Vec<(f64, &str, &str)> = names
            .iter()
            .map(|(name, lower)| (cosine(&grams, &self::grams(lower, size)), *name, lower.as_str()))
            .filter(|(score, _, _)| *score > 0.0)
            .collect();
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        candidates.truncate(CANDIDATES_MAX);
        candidates
            .into_iter()
            .map(|(_, name, lower)| (likeness(lower, &wanted), name))
            .filter(|(score, _)| *score >= score_min)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name.to_owned())
    })
}

fn grams(text: &str, size: usize) -> HashMap<Vec<char>, f64> {
    let mut chars = vec!['-'];
    chars.extend(text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | ',')));
    chars.push('-');
    while chars.len() < size {
        chars.push('-');
    }
    let mut counts = HashMap::new();
    for gram in chars.windows(size) {
        *counts.entry(gram.to_vec()).or_insert(0.0) += 1.0;
    }
    counts
}

fn cosine(a: &HashMap<Vec<char>, f64>, b: &HashMap<Vec<char>, f64>) -> f64 {
    let shared: f64 = a.iter().filter_map(|(gram, n)| b.get(gram).map(|m| n * m)).sum();
    let length = |grams: &HashMap<Vec<char>, f64>| grams.values().map(|n| n * n).sum::<f64>().sqrt();
    shared / (length(a) * length(b))
}

/// One minus the edit distance in relation to the longer text.
fn likeness(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    let longer = a.len().max(b.len()).max(1);
    1.0 - row[b.len()] as f64 / longer as f64
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn misspelt_names_are_recognised() {
        let names = ["projects", "clients", "tasks"];
        assert_eq!(closest(names, "project", 0.75).as_deref(), Some("projects"));
        assert_eq!(closest(names, "unrelated", 0.75), None);
    }
}
