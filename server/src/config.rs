//! What was the server told, and which of several tellings counts?
//!
//! Command line over environment over TOML file over default, key by key. The file's form is strict: a key that isn't
//! known is an error, since a misspelt limit that is ignored protects nobody.
//!
//! Invariants:
//! 1. Secrets come from the environment or from files, never from the command line, where other users see them.
//! 2. Reading the configuration changes nothing on disk.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::http::Uri;
use serde::Deserialize;
use strongroom_engine::StoreOptions;

use crate::embedding::settings as embedding;
use crate::mail::settings as mail;
use crate::rerank::settings as reranker;
use crate::summarize::settings as summarizer;
use crate::watch::Reads;
use crate::{base64, outbound, span};

/// Everything that a server is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder that holds everything.
    pub data_dir: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The operator's API key.
    pub root_key: Option<RootKeyText>,
    /// Where the root encryption key comes from.
    pub master_key: MasterKeySource,
    /// How long soft-deleted documents can be restored.
    pub(crate) retention_ms: u64,
    /// How old a write gets at most before it is moved from the log into a segment.
    pub(crate) flush_age_ms: u64,
    /// What of reads the audit log tells.
    pub(crate) audit_reads: Reads,
    /// Who orders what a search found, when it asks for that.
    pub(crate) reranker: Option<reranker::Settings>,
    pub(crate) summarizer: Option<summarizer::Settings>,
    /// How many recalls of memories a workspace may have in a month.
    pub(crate) memory_plan_queries: Option<u64>,
    /// Where collections are embedded that ask for another model than the built-in one.
    pub(crate) embedding: embedding::Settings,
    /// What a million tokens cost in US dollars, by the embedder that a collection names; nothing where none is told.
    pub(crate) embedding_prices: BTreeMap<String, f64>,
    /// Who takes invitations to people.
    pub(crate) mail: Option<mail::Settings>,
    /// Where people reach this server.
    pub(crate) public_url: Option<Uri>,
    pub(crate) limits: Limits,
}

/// The operator's API key; its debug output hides it.
#[derive(Clone)]
pub struct RootKeyText(pub(crate) String);

impl std::fmt::Debug for RootKeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKeyText(…)")
    }
}

/// Where the root encryption key comes from.
#[derive(Clone)]
pub enum MasterKeySource {
    /// The environment brought it.
    Given([u8; 32]),
    /// A file holds it.
    File(PathBuf),
    /// The data folder's `master.key`, made when there is none.
    DataDir,
}

impl std::fmt::Debug for MasterKeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::DataDir => f.write_str("DataDir"),
        }
    }
}

/// What a caller may ask at most, and what the server spends at most.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// A JSON body.
    pub(crate) body_bytes_max: usize,
    /// A document's raw bytes.
    pub(crate) document_bytes_max: usize,
    /// All bodies in flight together.
    pub(crate) bodies_bytes_max: usize,
    pub(crate) k_max: usize,
    pub(crate) list_limit_max: usize,
    pub(crate) tags_max: usize,
    pub(crate) tag_bytes_max: usize,
    pub(crate) metadata_bytes_max: usize,
    /// Filenames, sources and entity ids.
    pub(crate) name_bytes_max: usize,
    pub(crate) query_bytes_max: usize,
    /// Levels of a metadata filter, its clauses, the values in it, and each text of those.
    pub(crate) filter_depth_max: usize,
    pub(crate) filter_clauses_max: usize,
    pub(crate) filter_values_max: usize,
    pub(crate) filter_text_bytes_max: usize,
    pub(crate) batch_documents_max: usize,
    /// A message that is remembered.
    pub(crate) memory_bytes_max: usize,
    pub(crate) batch_queries_max: usize,
    pub(crate) chunk_tokens_max: usize,
    pub(crate) passages_max: usize,
    /// A file that has to be read to have a text (PDF, Office, HTML).
    pub(crate) file_bytes_max: usize,
    /// Its pages, slides or sheets.
    pub(crate) file_pages_max: usize,
    /// Elements within one another.
    pub(crate) file_nesting_max: usize,
    /// All that it unpacks to.
    pub(crate) file_unpacked_bytes_max: u64,
    /// Its text.
    pub(crate) file_text_bytes_max: usize,
    /// Until it is read.
    pub(crate) file_seconds_max: u64,
    /// Its reader's memory.
    pub(crate) file_memory_bytes_max: u64,
    /// Files that are read at once, each in a process of its own.
    pub(crate) file_workers_max: usize,
    /// Files that wait for one of those.
    pub(crate) file_waiting_max: usize,
    pub(crate) connections_max: usize,
    pub(crate) header_bytes_max: usize,
    pub(crate) header_fields_max: usize,
    pub(crate) header_seconds_max: u64,
    pub(crate) body_silence_seconds_max: u64,
    pub(crate) body_seconds_max: u64,
    /// A body that comes more slowly than this on the average is cut off.
    pub(crate) body_bytes_per_second_min: u64,
    /// Whoever sends more than this in bodies that are refused is answered the more slowly.
    pub(crate) refused_bytes_per_second_max: u64,
    /// How long a reader may take for the next piece of an answer.
    pub(crate) answer_silence_seconds_max: u64,
    /// All answers above 64 KiB that wait for their readers, together.
    pub(crate) answers_bytes_max: usize,
    /// An HTTP/2 connection without a request is closed after this.
    pub(crate) idle_seconds_max: u64,
    /// Requests at once on one HTTP/2 connection.
    pub(crate) streams_max: u32,
    /// Streams that a peer took back before they were begun; with one more, its connection is closed.
    pub(crate) resets_max: usize,
    /// Calls of the engine at once.
    pub(crate) running_max: usize,
    /// Calls that wait for one of those.
    pub(crate) waiting_max: usize,
    /// Background inserts that wait.
    pub(crate) jobs_max: usize,
    /// The engine's memtables are flushed beyond this.
    pub(crate) flush_bytes: u64,
    /// What the engine keeps of opened segments.
    pub(crate) cache_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            body_bytes_max: 64 << 20,
            document_bytes_max: 100 << 20,
            bodies_bytes_max: 1 << 30,
            k_max: 1000,
            list_limit_max: 1000,
            tags_max: 64,
            tag_bytes_max: 256,
            metadata_bytes_max: 64 << 10,
            name_bytes_max: 1024,
            query_bytes_max: 32 << 10,
            filter_depth_max: 16,
            filter_clauses_max: 128,
            filter_values_max: 1024,
            filter_text_bytes_max: 4 << 10,
            batch_documents_max: 1000,
            memory_bytes_max: 64 << 10,
            batch_queries_max: 100,
            chunk_tokens_max: 8192,
            passages_max: 100_000,
            file_bytes_max: 64 << 20,
            file_pages_max: 2000,
            file_nesting_max: 256,
            file_unpacked_bytes_max: 512 << 20,
            file_text_bytes_max: 16 << 20,
            file_seconds_max: 60,
            file_memory_bytes_max: 1 << 30,
            file_workers_max: cores.clamp(1, 8),
            file_waiting_max: 64,
            connections_max: 4096,
            header_bytes_max: 128 << 10,
            header_fields_max: 100,
            header_seconds_max: 10,
            body_silence_seconds_max: 30,
            body_seconds_max: 900,
            body_bytes_per_second_min: 512,
            refused_bytes_per_second_max: 4 << 20,
            answer_silence_seconds_max: 60,
            answers_bytes_max: 128 << 20,
            idle_seconds_max: 120,
            streams_max: 100,
            resets_max: 20,
            // Writers wait together for one sync of the log, so more of them than cores pays.
            running_max: (8 * cores).max(32),
            waiting_max: 1024,
            jobs_max: 256,
            flush_bytes: 64 << 20,
            cache_bytes: 1 << 30,
        }
    }
}

/// What one of the three sources said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) listen: Option<String>,
    pub(crate) master_key_file: Option<PathBuf>,
    pub(crate) retention: Option<String>,
    pub(crate) flush_age: Option<String>,
    pub(crate) audit_reads: Option<String>,
    pub(crate) memory_plan_queries: Option<u64>,
    pub(crate) reranker: reranker::Told,
    pub(crate) summarizer: summarizer::Told,
    pub(crate) embedding: embedding::Told,
    pub(crate) mail: mail::Told,
    pub(crate) public_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    master_key_file: Option<PathBuf>,
    retention: Option<String>,
    flush_age: Option<String>,
    audit_reads: Option<String>,
    memory_plan_queries: Option<u64>,
    reranker: reranker::Told,
    summarizer: summarizer::Told,
    embedding: embedding::Told,
    embedding_prices: BTreeMap<String, f64>,
    mail: mail::Told,
    public_url: Option<String>,
    limits: Limits,
}

/// Joins what the command line, the environment and the file say. The error is one line that says what to do.
pub(crate) fn resolve(
    command_line: Told,
    environment: impl Fn(&str) -> Option<String>,
    file: Option<&Path>,
) -> Result<Config, String> {
    let file = file.map(read_file).transpose()?.unwrap_or_default();
    let data_dir = command_line
        .data_dir
        .or_else(|| environment("STRONGROOM_DATA_DIR").map(PathBuf::from))
        .or(file.data_dir)
        .unwrap_or_else(|| PathBuf::from("./strongroom-data"));
    let listen = command_line
        .listen
        .or_else(|| environment("STRONGROOM_LISTEN"))
        .or(file.listen)
        .unwrap_or_else(|| "127.0.0.1:7373".to_owned());
    let listen = parse_listen(&listen)?;
    // A key file on the command line stands over a key in the environment, which stands over a key file in the file.
    let master_key = match (command_line.master_key_file, environment("STRONGROOM_MASTER_KEY")) {
        (Some(path), _) => MasterKeySource::File(path),
        (None, Some(text)) => MasterKeySource::Given(parse_master_key(&text).ok_or(
            "STRONGROOM_MASTER_KEY must be 32 bytes as 64 hexadecimal digits or as base64 (try: openssl rand -hex 32)",
        )?),
        (None, None) => file.master_key_file.map_or(MasterKeySource::DataDir, MasterKeySource::File),
    };
    let span = |name: &str, on_line: Option<String>, in_file: Option<String>, default_ms: u64| {
        let variable = format!("STRONGROOM_{}", name.to_uppercase());
        let told = on_line.or_else(|| environment(&variable)).or(in_file);
        told.map_or(Ok(default_ms), |text| span::parse_ms(name, &text))
    };
    let usual = StoreOptions::default();
    let retention_ms = span("retention", command_line.retention, file.retention, usual.retention_ms)?;
    let flush_age_ms = span("flush_age", command_line.flush_age, file.flush_age, usual.flush_age_ms)?;
    let audit_reads =
        command_line.audit_reads.or_else(|| environment("STRONGROOM_AUDIT_READS")).or(file.audit_reads);
    let audit_reads = audit_reads.map_or(Some(Reads::default()), |word| Reads::parse(word.trim()));
    let audit_reads = audit_reads.ok_or("audit_reads must be denied or all")?;
    let reranker = reranker::resolve(command_line.reranker, &environment, file.reranker)?;
    let summarizer = summarizer::resolve(command_line.summarizer, &environment, file.summarizer)?;
    let plan =
        environment("STRONGROOM_MEMORY_PLAN_QUERIES").map(|text| text.trim().parse::<u64>()).transpose();
    let plan = plan.map_err(|_| "STRONGROOM_MEMORY_PLAN_QUERIES must be a whole number".to_owned())?;
    let memory_plan_queries = command_line.memory_plan_queries.or(plan).or(file.memory_plan_queries);
    let embedding = embedding::resolve(command_line.embedding, &environment, file.embedding)?;
    let mail = mail::resolve(command_line.mail, &environment, file.mail)?;
    let public_url =
        command_line.public_url.or_else(|| environment("STRONGROOM_PUBLIC_URL")).or(file.public_url);
    let public_url = public_url.as_deref().map(parse_public_url).transpose()?;
    if mail.is_some() && public_url.is_none() {
        return Err(
            "invitations that are mailed need the address under which people reach this server; give it by --public-url".to_owned(),
        );
    }
    let root_key = environment("STRONGROOM_ROOT_KEY").map(RootKeyText);
    if let Some(RootKeyText(text)) = &root_key
        && (text.chars().count() < 16 || text.contains(|c: char| !c.is_ascii_graphic()))
    {
        return Err(
            "STRONGROOM_ROOT_KEY must have at least 16 characters, all of them visible ASCII".to_owned()
        );
    }
    let limits = file.limits;
    Ok(Config {
        data_dir,
        listen,
        root_key,
        master_key,
        retention_ms,
        flush_age_ms,
        audit_reads,
        reranker,
        summarizer,
        memory_plan_queries,
        embedding,
        embedding_prices: file.embedding_prices,
        mail,
        public_url,
        limits,
    })
}

fn read_file(path: &Path) -> Result<File, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the configuration file {} can't be read: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let place =
            error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        format!("the configuration file {}, line {place}: {}", path.display(), error.message())
    })
}

fn parse_public_url(text: &str) -> Result<Uri, String> {
    let wrong =
        || "public_url must be the address of this server, such as https://rooms.example.com".to_owned();
    let address = outbound::parse_address("public_url", text).map_err(|_| wrong())?;
    if address.query().is_none() { Ok(address) } else { Err(wrong()) }
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    use std::net::ToSocketAddrs;
    let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| {
        format!("{text:?} is no address to listen on; write HOST:PORT, such as 127.0.0.1:7373")
    })
}

/// Reads 32 bytes from hexadecimal or base64, white space around them ignored.
pub(crate) fn parse_master_key(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    crate::random::parse_hex(text).or_else(|| base64::decode(text)?.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    /// Lost otherwise: an operator's flag would be overruled by a file, and data would land in the wrong folder.
    #[test]
    fn command_line_over_environment_over_file_over_default() {
        let file = file("data_dir = \"/from-file\"\nlisten = \"127.0.0.1:3\"\n[limits]\nk_max = 7\n");
        let nothing = |_: &str| None;
        let environment = |name: &str| match name {
            "STRONGROOM_DATA_DIR" => Some("/from-environment".to_owned()),
            "STRONGROOM_LISTEN" => Some("127.0.0.1:2".to_owned()),
            _ => None,
        };
        let flags = || Told {
            data_dir: Some("/from-flag".into()),
            listen: Some("127.0.0.1:1".into()),
            ..Told::default()
        };
        let seen = |config: Config| (config.data_dir.display().to_string(), config.listen.port());

        let default = resolve(Told::default(), nothing, None).unwrap();
        assert_eq!((default.limits.k_max, default.limits.body_bytes_max), (1000, 64 << 20));
        assert!(matches!(default.master_key, MasterKeySource::DataDir));
        assert_eq!(seen(default), ("./strongroom-data".to_owned(), 7373));
        let from_file = resolve(Told::default(), nothing, Some(file.path())).unwrap();
        assert_eq!((from_file.limits.k_max, from_file.limits.list_limit_max), (7, 1000));
        assert_eq!(seen(from_file), ("/from-file".to_owned(), 3));
        let from_environment = resolve(Told::default(), environment, Some(file.path())).unwrap();
        assert_eq!(seen(from_environment), ("/from-environment".to_owned(), 2));
        let from_flag = resolve(flags(), environment, Some(file.path())).unwrap();
        assert_eq!(seen(from_flag), ("/from-flag".to_owned(), 1));
    }

    /// Lost otherwise: deleted documents would be kept for longer, or shorter, than the operator promised.
    #[test]
    fn spans_come_from_the_same_three_places() {
        let file = file("retention = \"3d\"\nflush_age = \"3m\"\n");
        let environment = |name: &str| (name == "STRONGROOM_RETENTION").then(|| "2d".to_owned());
        let flag = Told { retention: Some("1d".to_owned()), ..Told::default() };
        let seen = |told: Told, environment: &dyn Fn(&str) -> Option<String>, file: Option<&Path>| {
            resolve(told, environment, file).map(|config| (config.retention_ms, config.flush_age_ms))
        };
        let day = crate::clock::DAY_MS;
        assert_eq!(seen(Told::default(), &|_| None, None), Ok((30 * day, 600_000)));
        assert_eq!(seen(Told::default(), &|_| None, Some(file.path())), Ok((3 * day, 180_000)));
        assert_eq!(seen(Told::default(), &environment, Some(file.path())), Ok((2 * day, 180_000)));
        assert_eq!(seen(flag, &environment, Some(file.path())), Ok((day, 180_000)));
        let wrong = Told { flush_age: Some("10".to_owned()), ..Told::default() };
        assert!(seen(wrong, &|_| None, None).unwrap_err().contains("flush_age"));
    }

    /// Lost otherwise: a misspelt limit would protect nobody.
    #[test]
    fn unknown_keys_are_refused_by_name_and_line() {
        for text in ["\nlisten_on = \"x\"\n", "[limits]\nk_mx = 5\n"] {
            let error = resolve(Told::default(), |_| None, Some(file(text).path())).unwrap_err();
            assert!(
                error.contains("line 2") && (error.contains("listen_on") || error.contains("k_mx")),
                "{error}"
            );
        }
    }

    /// Lost otherwise: a short operator's key could be guessed, or an encryption key be read as another one.
    #[test]
    fn keys_are_read_strictly() {
        let with = |name: &'static str, value: &'static str| {
            resolve(Told::default(), move |asked| (asked == name).then(|| value.to_owned()), None)
        };
        assert!(with("STRONGROOM_ROOT_KEY", "fifteen-letters").is_err());
        assert!(with("STRONGROOM_ROOT_KEY", "sixteen-letters!").is_ok());
        let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8 % 251).unwrap());
        assert_eq!(parse_master_key(&format!(" {}\n", crate::random::hex(&bytes))), Some(bytes));
        let known = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let counting: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(parse_master_key(known), Some(counting));
        assert_eq!(parse_master_key(known.trim_end_matches('=')), Some(counting));
        for bad in ["", "00", &known[1..], &format!("{known}="), &known.replace("8=", "9="), &"0".repeat(63)]
        {
            assert_eq!(parse_master_key(bad), None, "{bad}");
        }
        assert!(with("STRONGROOM_MASTER_KEY", "short").is_err());
        assert!(
            !format!("{:?}", with("STRONGROOM_ROOT_KEY", "sixteen-letters!").unwrap()).contains("sixteen")
        );
    }
}
