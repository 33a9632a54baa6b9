//! Names that AWS accepts, made of names that the spec has.

/// A logical name: letters and digits only, each word with a capital. `["case-db", "subnet group"]` is
/// `CaseDbSubnetGroup`.
pub fn logical<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut name = String::new();
    for word in words {
        let mut start = true;
        for letter in word.chars() {
            match letter.is_ascii_alphanumeric() {
                true if start => name.push(letter.to_ascii_uppercase()),
                true => name.push(letter),
                false => {}
            }
            start = !letter.is_ascii_alphanumeric();
        }
    }
    name
}

/// A physical name of at most `longest` characters, lower case with hyphens. What is longer is cut, and ends in a digest
/// of all of it, so that two long names stay two.
pub fn physical<'a>(words: impl IntoIterator<Item = &'a str>, longest: usize) -> String {
    let words: Vec<String> = words.into_iter().map(hyphened).filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    if name.len() <= longest {
        return name;
    }
    let tail = format!("{:08x}", digest(&name));
    let head = name[..longest.saturating_sub(tail.len() + 1)].trim_end_matches('-');
    format!("{head}-{tail}")
}

/// What has to begin with a letter, as stacks and databases do.
pub fn lettered(name: String) -> String {
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("w{name}"),
        false => name,
    }
}

fn hyphened(word: &str) -> String {
    let mut out = String::new();
    for letter in word.chars() {
        match letter.is_ascii_alphanumeric() {
            true => out.push(letter.to_ascii_lowercase()),
            false if out.ends_with('-') || out.is_empty() => {}
            false => out.push('-'),
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// FNV-1a, 32 bits: the same on every machine, and enough to tell a workload's own names apart.
pub fn digest(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logical_names_have_letters_and_digits_only() {
        assert_eq!(logical(["case-db", "subnet group", "us-east-1"]), "CaseDbSubnetGroupUsEast1");
        assert_eq!(logical(["a_b", "§"]), "AB");
    }

    #[test]
    fn a_name_that_begins_with_a_digit_gets_a_letter() {
        assert_eq!((lettered("3d".to_owned()), lettered("d3".to_owned())), ("w3d".to_owned(), "d3".to_owned()));
    }

    #[test]
    fn physical_names_are_cut_and_stay_apart() {
        assert_eq!(physical(["Case API", "db_1"], 32), "case-api-db-1");
        let (one, two) = (
            physical(["a-very-long-workload-name", "first"], 20),
            physical(["a-very-long-workload-name", "second"], 20),
        );
        assert!(one.len() <= 20 && two.len() <= 20 && one != two, "{one} {two}");
    }
}
