//! The tools through TLS, with certificates made for the test.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::node::Node;

/// A folder with the key stores of a node and of clients.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Certificates {
        let made = Certificates { folder: tempfile::tempdir().expect("a folder") };
        for name in ["node", "client", "stranger"] {
            made.write(name);
        }
        made
    }

    /// `NAME.pem` has the key and its certificate, `NAME.crt` the certificate alone.
    fn write(&self, name: &str) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names).expect("a certificate");
        let both = format!("{}{}", signing_key.serialize_pem(), cert.pem());
        fs::write(self.path(&format!("{name}.pem")), both).expect("a file");
        fs::write(self.path(&format!("{name}.crt")), cert.pem()).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn node(&self, more: &[String]) -> Node {
        let mut keys = vec![
            "listeners=SSL://127.0.0.1:0".to_owned(),
            "ssl.keystore.type=PEM".to_owned(),
            format!("ssl.keystore.location={}", self.path("node.pem").display()),
        ];
        keys.extend_from_slice(more);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        Node::with(&keys)
    }

    /// A client's properties: whom it trusts, and who it says it is.
    fn client(&self, trusted: &str, own: Option<&str>) -> String {
        let mut text = format!(
            "security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location={}\n",
            self.path(&format!("{trusted}.crt")).display()
        );
        if let Some(own) = own {
            let own = self.path(&format!("{own}.pem"));
            text.push_str("ssl.keystore.type=PEM\nssl.keystore.location=");
            text.push_str(&own.display().to_string());
        }
        let file = self.path(&format!("{trusted}-{}.properties", own.unwrap_or_default()));
        fs::write(&file, text).expect("a file");
        file.display().to_string()
    }
}

fn asks_for_certificates(trusted: &Path) -> [String; 3] {
    [
        "ssl.client.auth=required".to_owned(),
        "ssl.truststore.type=PEM".to_owned(),
        format!("listener.name.ssl.ssl.truststore.location={}", trusted.display()),
    ]
}

#[test]
fn records_go_through_tls_and_back() {
    let certificates = Certificates::new();
    // On the broker's thread, and on others.
    for threads in ["0", "2"] {
        let node = certificates.node(&[format!("strom.network.threads={threads}")]);
        let config = certificates.client("node", None);
        node.prints("topics", &["--create", "--topic", "t", "--command-config", &config]);
        let line = "x".repeat(100_000);
        let lines = format!("{line}\n").repeat(30);
        let options = ["--topic", "t", "--command-config", &config];
        let sent = node.run_with("produce", &options, &lines);
        assert!(sent.status.success(), "{sent:?}");
        let all = ["--from-beginning", "--max-messages", "30"];
        assert!(node.prints("consume", &[&options[..], &all].concat()) == lines, "{threads}");
    }
}

#[test]
fn who_does_not_trust_the_node_says_so() {
    let certificates = Certificates::new();
    let node = certificates.node(&[]);
    let config = certificates.client("stranger", None);
    let said = node.refuses("topics", &["--list", "--command-config", &config]);
    assert!(said.contains("does the trust store hold the node's certificate"), "{said}");
}

#[test]
fn a_node_that_requires_certificates_serves_those_it_trusts() {
    let certificates = Certificates::new();
    let node = certificates.node(&asks_for_certificates(&certificates.path("client.crt")));
    let known = certificates.client("node", Some("client"));
    node.prints("topics", &["--list", "--command-config", &known]);
    for own in [None, Some("stranger")] {
        let config = certificates.client("node", own);
        let said = node.refuses("topics", &["--list", "--command-config", &config]);
        assert!(!said.is_empty());
    }
    node.prints("topics", &["--list", "--command-config", &known]);
}

#[test]
fn a_key_store_is_read_anew_when_its_place_is_set_again() {
    let certificates = Certificates::new();
    let node = certificates.node(&["node.id=1".to_owned()]);
    let before = certificates.client("node", None);
    let store = certificates.path("node.pem").display().to_string();
    let set = format!("listener.name.ssl.ssl.keystore.location={store}");
    let alter = |value: &str, config: &str| {
        let entity = ["--alter", "--entity-type", "brokers", "--entity-name", "1"];
        let change = ["--add-config", value, "--command-config", config];
        node.run("configs", &[&entity[..], &change].concat())
    };
    let wrong = alter("listener.name.ssl.ssl.keystore.location=/nowhere", &before);
    assert!(!wrong.status.success(), "{wrong:?}");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("/nowhere"), "{wrong:?}");
    fs::copy(certificates.path("stranger.pem"), certificates.path("node.pem")).expect("a copy");
    let set = alter(&set, &before);
    assert!(set.status.success(), "{set:?}");
    let after = certificates.client("stranger", None);
    node.prints("topics", &["--list", "--command-config", &after]);
    node.refuses("topics", &["--list", "--command-config", &before]);
}

#[test]
fn who_has_come_to_the_wrong_port_is_told_so() {
    let certificates = Certificates::new();
    let node = certificates.node(&[]);
    let mut plain = TcpStream::connect(node.bootstrap()).expect("it listens");
    plain.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    plain.write_all(&[0, 0, 0, 18, 0, 18, 0, 0]).expect("sent");
    let mut answer = Vec::new();
    // Closed or reset: what matters is that it ends without an answer.
    let _ = plain.read_to_end(&mut answer);
    assert!(answer.is_empty());
    let without_tls = Node::with(&[]);
    let config = certificates.client("node", None);
    let said = without_tls.refuses("topics", &["--list", "--command-config", &config]);
    assert!(said.contains("TLS"), "{said}");
}
