//! JKS, Java's own format of key stores until Java 8.
//!
//! Big-endian: magic 0xFEEDFEED, version 2, count; for each entry its tag (1 key, 2 certificate), name,
//! time, then the key and its chain or the certificate; at last SHA-1 over the password, a phrase and
//! all before. Lengths are 4 bytes, those of names 2.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

pub(crate) const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const DIGEST_LENGTH: usize = 20;
const PHRASE: &[u8] = b"Mighty Aphrodite";

/// What stands in a store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A private key as the store's own encryption has it, and its chain.
    Key {
        protected: Vec<u8>,
        chain: Vec<Vec<u8>>,
    },
    Certificate(Vec<u8>),
}

/// Why a store is not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum JksError {
    Broken,
    Password,
}

/// Reads the entries. Without a password the store is not checked, as in Java.
pub(crate) fn entries(bytes: &[u8], password: Option<&str>) -> Result<Vec<Entry>, JksError> {
    let (content, digest) = bytes.split_last_chunk::<DIGEST_LENGTH>().ok_or(JksError::Broken)?;
    if let Some(password) = password
        && sha1(&[&utf16(password), PHRASE, content]) != *digest
    {
        return Err(JksError::Password);
    }
    read(content).ok_or(JksError::Broken)
}

fn read(content: &[u8]) -> Option<Vec<Entry>> {
    let mut rest = Rest(content);
    if rest.take(4)? != MAGIC || rest.number()? != 2 {
        return None;
    }
    let mut entries = Vec::new();
    for _ in 0..rest.number()? {
        let tag = rest.number()?;
        rest.name()?;
        rest.take(8)?;
        entries.push(match tag {
            1 => {
                let protected = rest.counted()?.to_vec();
                let mut chain = Vec::new();
                for _ in 0..rest.number()? {
                    chain.push(rest.certificate()?);
                }
                Entry::Key { protected, chain }
            }
            2 => Entry::Certificate(rest.certificate()?),
            _ => return None,
        });
    }
    Some(entries)
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length as usize)
    }

    fn name(&mut self) -> Option<&'a [u8]> {
        let length = self.take(2)?.try_into().ok().map(u16::from_be_bytes)?;
        self.take(usize::from(length))
    }

    fn certificate(&mut self) -> Option<Vec<u8>> {
        self.name()?;
        self.counted().map(<[u8]>::to_vec)
    }
}

/// A private key (PKCS#8) out of its protection: a key stream of SHA-1 over the password and the block
/// before, beginning with a salt, and SHA-1 over password and key at the end.
pub(crate) fn unprotect(protected: &[u8], password: &str) -> Result<Vec<u8>, JksError> {
    let sealed = sealed(protected).ok_or(JksError::Broken)?;
    let (salt, sealed) = sealed.split_first_chunk::<DIGEST_LENGTH>().ok_or(JksError::Broken)?;
    let (sealed, check) = sealed.split_last_chunk::<DIGEST_LENGTH>().ok_or(JksError::Broken)?;
    let password = utf16(password);
    let mut key = Vec::with_capacity(sealed.len());
    let mut block = *salt;
    for piece in sealed.chunks(DIGEST_LENGTH) {
        block = sha1(&[&password, &block]);
        key.extend(piece.iter().zip(block).map(|(byte, mask)| byte ^ mask));
    }
    if sha1(&[&password, &key]) == *check { Ok(key) } else { Err(JksError::Password) }
}

/// The octets of an EncryptedPrivateKeyInfo: a sequence of the algorithm, which is always the same, and
/// an octet string.
fn sealed(protected: &[u8]) -> Option<&[u8]> {
    let (whole, _) = element(protected, 0x30)?;
    let (_, rest) = element(whole, 0x30)?;
    Some(element(rest, 0x04)?.0)
}

/// A DER element of a tag: its content and what follows.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    if *length < 0x80 {
        return rest.split_at_checked(usize::from(*length));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
    if digits.len() > 4 {
        return None;
    }
    let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
    rest.split_at_checked(length)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn sha1(parts: &[&[u8]]) -> [u8; DIGEST_LENGTH] {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    parts.iter().for_each(|part| context.update(part));
    let mut digest = [0; DIGEST_LENGTH];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
