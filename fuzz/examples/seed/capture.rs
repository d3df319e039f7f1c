//! A proxy that writes down what goes by.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::inputs::Inputs;

/// So many requests of one API and version are enough.
const OF_EACH_MAX: usize = 4;

/// What all connections together have seen.
struct Seen {
    inputs: Inputs,
    counts: Mutex<BTreeMap<(bool, i16, i16), usize>>,
}

impl Seen {
    fn wants(&self, is_answer: bool, api_key: i16, version: i16) -> bool {
        let Ok(mut counts) = self.counts.lock() else { return false };
        let count = counts.entry((is_answer, api_key, version)).or_default();
        *count += 1;
        *count <= OF_EACH_MAX
    }
}

/// Correlation ids that are under way, with API and version.
type UnderWay = Arc<Mutex<HashMap<[u8; 4], (i16, i16)>>>;

pub(crate) fn run(listen: &str, node: &str, folder: &Path) -> io::Result<()> {
    let seen = Arc::new(Seen { inputs: Inputs::new(folder), counts: Mutex::default() });
    for client in TcpListener::bind(listen)?.incoming() {
        let (client, server) = (client?, TcpStream::connect(node)?);
        let under_way = UnderWay::default();
        let (to, from) = (server.try_clone()?, client.try_clone()?);
        let (of_requests, of_answers) = (Arc::clone(&seen), Arc::clone(&seen));
        let asked = Arc::clone(&under_way);
        std::thread::spawn(move || report(requests(from, to, &of_requests, &asked)));
        std::thread::spawn(move || report(answers(server, client, &of_answers, &under_way)));
    }
    Ok(())
}

/// A connection that ends is no error.
fn report(ended: io::Result<()>) {
    if let Err(error) = ended
        && error.kind() != io::ErrorKind::UnexpectedEof
    {
        eprintln!("{error}");
    }
}

fn next_frame(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut frame)?;
    Ok(frame)
}

fn pass_on(to: &mut TcpStream, frame: &[u8]) -> io::Result<()> {
    to.write_all(&(frame.len() as u32).to_be_bytes())?;
    to.write_all(frame)
}

fn requests(
    mut from: TcpStream,
    mut to: TcpStream,
    seen: &Seen,
    under_way: &UnderWay,
) -> io::Result<()> {
    let mut stream = Vec::new();
    loop {
        let frame = match next_frame(&mut from) {
            Ok(frame) => frame,
            Err(error) => {
                to.shutdown(Shutdown::Write)?;
                seen.inputs.stream(&stream)?;
                return Err(error);
            }
        };
        let number = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
        if let (Some(id), Ok(mut asked)) = (frame.get(4..8), under_way.lock()) {
            asked.insert([id[0], id[1], id[2], id[3]], (number(0), number(2)));
            if seen.wants(false, number(0), number(2)) {
                seen.inputs.request(&frame)?;
            }
        }
        pass_on(&mut to, &frame)?;
        stream.push(frame);
    }
}

fn answers(
    mut from: TcpStream,
    mut to: TcpStream,
    seen: &Seen,
    under_way: &UnderWay,
) -> io::Result<()> {
    loop {
        let answer = next_frame(&mut from)?;
        let id = answer.first_chunk().copied().unwrap_or_default();
        let asked = under_way.lock().ok().and_then(|mut asked| asked.remove(&id));
        if let Some((api_key, version)) = asked
            && seen.wants(true, api_key, version)
        {
            seen.inputs.response(api_key, version, &answer)?;
        }
        pass_on(&mut to, &answer)?;
    }
}
