//! How Kafka's names are written in Rust.

const KEYWORDS: &[&str] = &["type", "match", "ref", "use", "move", "self", "in", "for", "loop"];

/// `LastKnownElr` → `last_known_elr`; `KRaftVersion` → `kraft_version`; `Type` → `type_`.
pub(crate) fn snake_case(name: &str) -> String {
    let name = name.replace("KRaft", "Kraft");
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let after_lower = index > 0 && !letters[index - 1].is_uppercase();
        let before_lower = letters.get(index + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && index > 0 && (after_lower || before_lower) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    if KEYWORDS.contains(&snake.as_str()) {
        snake.push('_');
    }
    snake
}

/// `UNKNOWN_TOPIC_OR_PARTITION` → `UnknownTopicOrPartition`.
pub(crate) fn camel_case(name: &str) -> String {
    let mut camel = String::new();
    for word in name.split('_') {
        let mut letters = word.chars();
        camel.extend(letters.next());
        camel.push_str(&letters.as_str().to_lowercase());
    }
    camel
}
