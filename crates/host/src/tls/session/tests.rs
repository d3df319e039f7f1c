//! A session against rustls' client, without a socket between them.

use std::io::{Cursor, Read, Write};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use super::*;

#[derive(Debug)]
struct TrustsAll;

impl ServerCertVerifier for TrustsAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

fn server() -> Session {
    let made = rcgen::generate_simple_self_signed(["a".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a pair");
    Session::new(Arc::new(config)).expect("a session")
}

fn client() -> ClientConnection {
    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustsAll))
        .with_no_client_auth();
    let name = ServerName::try_from("a").expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("a client")
}

/// Hands the session what the client sends, in pieces of so many bytes; what it decrypts.
fn carry(client: &mut ClientConnection, session: &mut Session, piece: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut sent).expect("memory");
    }
    let mut plain = Vec::new();
    for piece in sent.chunks(piece) {
        let mut received = [session.begun(), piece].concat();
        let mut take = |bytes: &[u8]| {
            plain.extend_from_slice(bytes);
            bytes.len()
        };
        session.receive(&mut received, &mut take).expect("well-formed");
    }
    plain
}

/// Hands the client what the session sends; what it decrypts.
fn answer(client: &mut ClientConnection, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = Cursor::new(bytes);
    let mut plain = Vec::new();
    while (bytes.position() as usize) < bytes.get_ref().len() {
        client.read_tls(&mut bytes).expect("memory");
        client.process_new_packets().expect("well-formed");
        // Ends with nothing more to read, which is an error to a reader.
        let _ = client.reader().read_to_end(&mut plain);
    }
    plain
}

fn shaken(piece: usize) -> (ClientConnection, Session) {
    let (mut client, mut session) = (client(), server());
    while session.is_shaking() || client.is_handshaking() {
        carry(&mut client, &mut session, piece);
        let out = session.outgoing().to_vec();
        answer(&mut client, &out);
        session.sent(out.len());
    }
    (client, session)
}

#[test]
fn bytes_pass_both_ways_however_they_are_cut() {
    for piece in [1, 1000, 1 << 20] {
        let (mut client, mut session) = shaken(piece);
        let text: Vec<u8> = (0..40_000).map(|it| it as u8).collect();
        client.writer().write_all(&text).expect("memory");
        assert_eq!(carry(&mut client, &mut session, piece), text);
        assert_eq!((session.begun_bytes(), session.outgoing()), (0, &[][..]));
        let mut sealed = vec![0; Session::sealed_bytes(text.len())];
        let length = session.seal(&text, &mut sealed).expect("room");
        assert!(answer(&mut client, &sealed[..length]) == text);
    }
}

#[test]
fn an_answer_may_go_out_while_a_record_is_half_there() {
    let (mut client, mut session) = shaken(1 << 20);
    client.writer().write_all(b"question").expect("memory");
    let mut sent = Vec::new();
    client.write_tls(&mut sent).expect("memory");
    let (first, second) = sent.split_at(7);
    session.receive(&mut first.to_vec(), &mut |_| 0).expect("a part");
    let mut sealed = vec![0; Session::sealed_bytes(6)];
    let length = session.seal(b"answer", &mut sealed).expect("room");
    assert_eq!(answer(&mut client, &sealed[..length]), b"answer");
    let mut plain = Vec::new();
    let mut received = [session.begun(), second].concat();
    session
        .receive(&mut received, &mut |bytes| {
            plain.extend_from_slice(bytes);
            bytes.len()
        })
        .expect("the rest");
    assert_eq!(plain, b"question");
}

#[test]
fn what_nobody_has_room_for_is_kept_in_order() {
    let (mut client, mut session) = shaken(1 << 20);
    client.writer().write_all(&[7; 20_000]).expect("memory");
    client.writer().write_all(&[8; 20_000]).expect("memory");
    let mut sent = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut sent).expect("memory");
    }
    let mut plain = Vec::new();
    session
        .receive(&mut sent, &mut |bytes| {
            plain.extend_from_slice(&bytes[..10.min(bytes.len())]);
            10.min(bytes.len())
        })
        .expect("well-formed");
    session.take_plain(&mut |bytes| {
        plain.extend_from_slice(bytes);
        bytes.len()
    });
    assert!(plain == [vec![7; 20_000], vec![8; 20_000]].concat());
}

#[test]
fn who_does_not_speak_tls_gets_an_alert_and_a_reason() {
    let mut session = server();
    let mut bytes = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    let said = session.receive(&mut bytes, &mut |_| 0).expect_err("no TLS");
    assert!(said.starts_with("TLS failed"), "{said}");
    assert_eq!(session.outgoing().first(), Some(&0x15), "an alert");
}
