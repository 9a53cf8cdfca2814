//! How does a suite get a server of its own?
//!
//! It starts the program that users start: `STRONGROOM_BIN`, else the release build in the target folder, which
//! is made first when it isn't there. Each server has a free port and, unless told otherwise, a fresh data
//! folder that goes away with it. A server is ended by its own process id alone.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;

/// The operator's key of every server under test.
pub const OPERATOR_KEY: &str = "operator-key-of-the-tests-0123456789abcdef";

/// How long a server may take until it serves. Generous: machines that test are busy.
const START_MAX: Duration = Duration::from_secs(60);

/// The program under test.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = std::env::var_os("STRONGROOM_BIN") {
            return PathBuf::from(path);
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), |t| root.join(t));
        let path = target.join("release").join("strongroom");
        if !path.exists() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let build = ["build", "--release", "--workspace", "--bin", "strongroom"];
            let status = Command::new(cargo).args(build).current_dir(root).status();
            assert!(status.is_ok_and(|s| s.success()), "the server can't be built");
        }
        path
    })
}

/// A data folder; it goes away when the last one who holds it does.
#[derive(Clone)]
pub struct Folder(Arc<TempDir>);

impl Folder {
    /// An empty folder.
    pub fn new() -> Folder {
        Folder(Arc::new(
            tempfile::Builder::new().prefix("strongroom-test-").tempdir().expect("a folder can be made"),
        ))
    }

    /// The data folder itself; the folder around it is watched for files that don't belong.
    pub fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// The folder around the data folder: nothing may ever be written here.
    pub fn around(&self) -> &Path {
        self.0.path()
    }
}

impl Default for Folder {
    fn default() -> Folder {
        Folder::new()
    }
}

/// How a server is to be started.
#[derive(Clone, Default)]
pub struct Plan {
    /// Where its data is.
    pub folder: Folder,
    /// Variables to set, over the usual ones.
    pub environment: Vec<(String, String)>,
    /// The configuration file's text, if there is one.
    pub configuration: String,
}

impl Plan {
    /// Sets a variable.
    pub fn set(mut self, variable: &str, value: &str) -> Plan {
        self.environment.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Says this in the configuration file.
    pub fn configure(mut self, text: &str) -> Plan {
        self.configuration.push_str(text);
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.arg("serve").arg("--data-dir").arg(self.folder.data()).args(["--listen", "127.0.0.1:0"]);
        if !self.configuration.is_empty() {
            let file = self.folder.around().join("configuration.toml");
            std::fs::write(&file, &self.configuration).expect("a configuration can be written");
            command.arg("--config").arg(file);
        }
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STRONGROOM_")) {
            command.env_remove(name);
        }
        command.env("STRONGROOM_ROOT_KEY", OPERATOR_KEY).envs(self.environment.iter().cloned());
        command.current_dir(self.folder.around());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the server and waits until it serves.
    pub fn start(&self) -> Server {
        Server::start_with(self.clone())
    }

    /// Starts a server that is expected to refuse: how it ended, and all it said.
    pub fn start_refused(&self, within: Duration) -> (ExitStatus, String) {
        let mut child = self.command().spawn().expect("the program can be started");
        let (said, readers) = listen(&mut child);
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                for reader in readers {
                    reader.join().expect("reading ends with the child");
                }
                return (status, text_of(&said));
            }
            if begun.elapsed() > within {
                end(&mut child);
                panic!("the server did not end by itself within {within:?}; it said:\n{}", text_of(&said));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

type Said = Arc<Mutex<Vec<String>>>;

/// Collects what a child says on both its outputs.
fn listen(child: &mut Child) -> (Said, Vec<JoinHandle<()>>) {
    let said = Said::default();
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|o| Box::new(o) as Box<dyn Read + Send>),
        child.stderr.take().map(|o| Box::new(o) as Box<dyn Read + Send>),
    ];
    let read = |output| {
        let said = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        })
    };
    let readers = outputs.into_iter().flatten().map(read).collect();
    (said, readers)
}

fn text_of(said: &Said) -> String {
    said.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
}

/// SIGKILL, and wait: nothing is left behind.
fn end(child: &mut Child) {
    // Both fail only when the process is gone already, which is what is wanted.
    child.kill().ok();
    child.wait().ok();
}

/// A running server.
pub struct Server {
    child: Child,
    address: SocketAddr,
    said: Said,
    plan: Plan,
}

impl Server {
    /// A server on a fresh folder.
    pub fn start() -> Server {
        Plan::default().start()
    }

    fn start_with(plan: Plan) -> Server {
        let mut child = plan.command().spawn().expect("the program can be started");
        let (said, _) = listen(&mut child);
        let begun = Instant::now();
        let give_up = |child: &mut Child, why: &str| {
            end(child);
            panic!("the server {why}; it said:\n{}", text_of(&said));
        };
        let address = loop {
            if let Some(address) = announced(&text_of(&said)) {
                break address;
            }
            if child.try_wait().expect("a child can be waited for").is_some() {
                give_up(&mut child, "ended before it served");
            }
            if begun.elapsed() > START_MAX {
                give_up(&mut child, "announced no address");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let probe = Client::new(address, OPERATOR_KEY).anonymous();
        while !probe.try_send("GET", "/readyz", &[], Vec::new()).is_ok_and(|a| a.status == 200) {
            if begun.elapsed() > START_MAX {
                give_up(&mut child, "never got ready");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Server { child, address, said, plan }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process' id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The operator.
    pub fn operator(&self) -> Client {
        Client::new(self.address, OPERATOR_KEY)
    }

    /// Its data folder.
    pub fn folder(&self) -> &Folder {
        &self.plan.folder
    }

    /// How it was started, for another one like it.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All it said so far.
    pub fn said(&self) -> String {
        text_of(&self.said)
    }

    /// `kill -9`, and how to start it again.
    pub fn kill(mut self) -> Plan {
        end(&mut self.child);
        self.plan.clone()
    }

    /// Sends SIGTERM and returns at once.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|s| s.success()), "SIGTERM could not be sent");
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(begun.elapsed() < within, "still running after {within:?}; it said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGTERM, wait for a clean end, and how to start it again.
    pub fn stop(mut self) -> Plan {
        self.terminate();
        let status = self.wait(Duration::from_secs(10));
        assert!(status.success(), "SIGTERM ended it with {status}; it said:\n{}", self.said());
        self.plan.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The address in the line `… on http://127.0.0.1:PORT`.
fn announced(said: &str) -> Option<SocketAddr> {
    let line = said.lines().find_map(|l| l.split(" on http://").nth(1))?;
    line.split_whitespace().next()?.trim_end_matches('/').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::announced;

    #[test]
    fn the_address_is_found_among_other_lines() {
        let said = "a warning\nstrongroom: listening on http://127.0.0.1:4711\nmore";
        assert_eq!(announced(said).map(|a| a.port()), Some(4711));
        assert_eq!(announced("http://127.0.0.1:4711 is taken"), None);
    }
}
