//! What README.md tells its reader to type, in its order.

use anyhow::{Result, bail, ensure};

/// A program of the README with the commands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// As the code block names it: `js`, `python`, `java`, `rust`.
    pub language: String,
    /// Where its first line says that it belongs, from the folder that `install` ends in.
    pub file: String,
    pub code: String,
    pub install: String,
    pub run: String,
}

/// The README's commands and programs; nothing that it shows is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Readme {
    /// Starts the node that all others talk to.
    pub start: String,
    /// Starts a node with a configuration file.
    pub start_with_file: String,
    /// Commands for the node, one block each, that stand before the first program.
    pub before: Vec<String>,
    pub samples: Vec<Sample>,
    /// Commands for the node that stand behind the last program.
    pub after: Vec<String>,
}

impl Readme {
    /// # Errors
    /// When a block has no place in this: nothing would test it.
    pub(super) fn read(markdown: &str) -> Result<Self> {
        let blocks = blocks(markdown)?;
        let mut readme = Self::default();
        let mut rest = blocks.as_slice();
        while let Some((first, behind)) = rest.split_first() {
            ensure!(first.language == "sh", "nothing tests README.md's block:\n{}", first.text);
            rest = behind;
            let text = first.text.clone();
            if let [code, run, behind @ ..] = rest
                && code.language != "sh"
                && run.language == "sh"
            {
                readme.samples.push(sample(first, code, run)?);
                rest = behind;
            } else if text.contains("--config server.properties") {
                readme.start_with_file = text;
            } else if text.starts_with("cargo run") {
                readme.start = text;
            } else if !text.lines().any(|line| line.contains("strom ")) {
                bail!("nothing tests README.md's block:\n{text}");
            } else if readme.samples.is_empty() {
                readme.before.push(text);
            } else {
                readme.after.push(text);
            }
        }
        ensure!(!readme.start.is_empty(), "README.md does not say how a node is started");
        Ok(readme)
    }
}

fn sample(install: &Block, code: &Block, run: &Block) -> Result<Sample> {
    let first = code.text.lines().next().unwrap_or_default();
    let file = first.trim_start_matches(['/', '#', ' ']).trim();
    ensure!(
        file.contains('.') && !file.contains(' '),
        "the {} program's first line names no file: {first}",
        code.language
    );
    Ok(Sample {
        language: code.language.clone(),
        file: file.to_owned(),
        code: code.text.clone(),
        install: install.text.clone(),
        run: run.text.clone(),
    })
}

struct Block {
    language: String,
    text: String,
}

fn blocks(markdown: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in markdown.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block { language: language.trim().to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    ensure!(open.is_none(), "README.md's last block does not end");
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_stand_between_their_commands() {
        let text = "```sh\ncargo run\n```\n```sh\nstrom topics\n```\n```sh\nget it\n```\n\
                    ```js\n// a.mjs\nlet x\n```\n```sh\nnode a.mjs\n```\n```sh\nstrom groups\n```\n";
        let readme = Readme::read(text).unwrap();
        assert_eq!(readme.start, "cargo run\n");
        assert_eq!(readme.before, ["strom topics\n"]);
        assert_eq!(readme.after, ["strom groups\n"]);
        let [sample] = readme.samples.as_slice() else { panic!("one program") };
        assert_eq!((sample.language.as_str(), sample.file.as_str()), ("js", "a.mjs"));
        assert_eq!(sample.code, "// a.mjs\nlet x\n");
        assert_eq!((sample.install.as_str(), sample.run.as_str()), ("get it\n", "node a.mjs\n"));
    }

    #[test]
    fn a_block_that_nothing_would_test_is_an_error() {
        let start = "```sh\ncargo run\n```\n";
        assert!(Readme::read(&format!("{start}```sh\nmake coffee\n```\n")).is_err());
        assert!(Readme::read(&format!("{start}```js\n// a.mjs\n```\n")).is_err());
        assert!(Readme::read("").is_err());
    }
}
