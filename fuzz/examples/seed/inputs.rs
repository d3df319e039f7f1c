//! Foreign bytes in the form that each target reads.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use strom_fuzz::messages::{family, index_of};
use strom_protocol::compression::Codec;
use strom_protocol::header::{decode_request_header, decode_response_header};
use strom_protocol::records::{HEADER_LENGTH, batches};
use strom_protocol::{ApiKey, Reader};

/// Larger ones teach a fuzzer little and cost it much.
const INPUT_BYTES_MAX: usize = 3000;
/// The byte that says: what follows is not sampled.
const AS_IT_IS: u8 = 0;
const REQUESTS: u8 = 0;
const RESPONSES: u8 = 1;

pub(crate) struct Inputs {
    folder: PathBuf,
}

impl Inputs {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(crate) fn write(&self, target: &str, parts: &[&[u8]]) -> io::Result<()> {
        let input = parts.concat();
        if input.len() > INPUT_BYTES_MAX {
            return Ok(());
        }
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{:016x}", hasher.finish())), input)
    }

    /// A request without its length prefix.
    pub(crate) fn request(&self, frame: &[u8]) -> io::Result<()> {
        self.write("requests", &[&[AS_IT_IS], frame])?;
        let mut reader = Reader::new(frame);
        let Ok((api, header)) = decode_request_header(&mut reader) else { return Ok(()) };
        self.message(REQUESTS, api, header.request_api_version, reader.rest())?;
        if api == ApiKey::Produce {
            self.batches_in(frame)?;
        }
        Ok(())
    }

    /// An answer without its length prefix.
    pub(crate) fn response(&self, api_key: i16, version: i16, answer: &[u8]) -> io::Result<()> {
        let Some(api) = ApiKey::from_code(api_key) else { return Ok(()) };
        let mut reader = Reader::new(answer);
        if decode_response_header(&mut reader, api, version).is_ok() {
            self.message(RESPONSES, api, version, reader.rest())?;
        }
        if api == ApiKey::Fetch { self.batches_in(answer) } else { Ok(()) }
    }

    fn message(&self, of: u8, api: ApiKey, version: i16, body: &[u8]) -> io::Result<()> {
        let Some(index) = index_of(of.into(), api.code()) else { return Ok(()) };
        let (low, _) = family(of.into())[index].versions();
        let opening = [of, index as u8, (version - low) as u8, AS_IT_IS];
        self.write("messages", &[&opening, body])
    }

    /// What a connection said from its begin on, for the cutter of frames and for a node.
    pub(crate) fn stream(&self, frames: &[Vec<u8>]) -> io::Result<()> {
        const RAW_FRAME_OF_CLIENT_0: [u8; 2] = [0, 0];
        const LIMIT_AND_STEP: [u8; 3] = [2, 0, 90];
        let (mut cut, mut session) = (LIMIT_AND_STEP.to_vec(), Vec::new());
        for frame in frames.iter().filter(|frame| frame.len() < 1000).take(12) {
            cut.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            cut.extend_from_slice(frame);
            session.extend_from_slice(&RAW_FRAME_OF_CLIENT_0);
            session.extend_from_slice(&(frame.len() as u16).to_be_bytes());
            session.extend_from_slice(frame);
        }
        self.write("frames", &[&cut])?;
        self.write("sessions", &[&session])
    }

    /// The batches that begin anywhere in the bytes.
    fn batches_in(&self, bytes: &[u8]) -> io::Result<()> {
        let begin = (0..bytes.len()).find(|at| {
            let batch = batches(&bytes[*at..]).next();
            batch.is_some_and(|it| it.is_ok_and(|it| strom_protocol::records::verify_crc(it.bytes)))
        });
        begin.map_or(Ok(()), |at| self.batches(&bytes[at..]))
    }

    /// Batches one behind the other: each by itself, and its body for the codecs.
    pub(crate) fn batches(&self, bytes: &[u8]) -> io::Result<()> {
        const LIMIT_OF_1_MIB: u8 = 3;
        for batch in batches(bytes).map_while(Result::ok) {
            self.write("records", &[&[AS_IT_IS], batch.bytes])?;
            let codec = batch.header.codec_id();
            if Codec::from_id(codec).is_some_and(|codec| codec != Codec::None) {
                let opening = [codec as u8, LIMIT_OF_1_MIB, AS_IT_IS];
                self.write("codecs", &[&opening, &batch.bytes[HEADER_LENGTH..]])?;
            }
        }
        Ok(())
    }
}
