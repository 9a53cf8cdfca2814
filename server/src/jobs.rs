//! How does a document wait to be stored in the background?
//!
//! A queue between the requests that fill it and the one task (`background.rs`) that empties it.
//!
//! Invariants:
//! 1. The queue is bounded: what doesn't fit is refused with 503, not kept.
//! 2. A job holds its share of the bodies' memory until it is done.

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::auth::Place;
use crate::control::INTERRUPTED;
use crate::ingest::Intake;
use crate::message::error::ApiError;

/// A document to be stored.
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) place: Place,
    pub(crate) intake: Intake,
    /// The memory that the content counts against.
    pub(crate) held: Vec<OwnedSemaphorePermit>,
}

/// The queue's end that requests use.
#[derive(Clone)]
pub(crate) struct Queue {
    jobs: mpsc::Sender<Job>,
}

/// A place in the queue.
pub(crate) struct Slot(mpsc::OwnedPermit<Job>);

impl Slot {
    pub(crate) fn send(self, job: Job) {
        self.0.send(job);
    }
}

impl Queue {
    pub(crate) fn new(jobs_max: usize) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, waiting) = mpsc::channel(jobs_max.max(1));
        (Self { jobs }, waiting)
    }

    /// Takes a place, if there is one.
    pub(crate) fn reserve(&self) -> Result<Slot, ApiError> {
        self.jobs.clone().try_reserve_owned().map(Slot).map_err(|_| {
            ApiError::busy("overloaded", "too many background inserts are waiting; try again soon", 5)
        })
    }
}

/// What a failed job's code means, to people. Rows keep the code alone.
pub(crate) fn message(code: &str) -> String {
    match code {
        INTERRUPTED => "the server stopped before the document was stored; insert it again".to_owned(),
        "unreadable" => "the document says it is text but is not UTF-8".to_owned(),
        "unsupported_media_type" => {
            "documents of this type can't be read; this server reads PDF, DOCX, PPTX, XLSX, HTML and text"
                .to_owned()
        }
        "file_broken" => {
            "the file can't be read: save it anew in a program that knows it, and send that".to_owned()
        }
        "file_encrypted" => "the file is encrypted: send it without its password".to_owned(),
        "file_type_mismatch" => "the file is not of the type that it says; send it under its own".to_owned(),
        "file_unknown" => {
            "the file is of no kind that can be read: PDF, DOCX, PPTX, XLSX, HTML, or text in UTF-8"
                .to_owned()
        }
        "file_too_many_pages"
        | "file_too_deep"
        | "file_unpacks_too_large"
        | "file_too_much_text"
        | "file_timeout"
        | "file_too_demanding"
        | "too_large" => {
            "the file takes more to read than this server's limits allow; send it in parts".to_owned()
        }
        "empty_document" | "no_text" => "the document holds no text that could be searched".to_owned(),
        "too_many_passages" => "the document makes too many passages; raise chunk_size".to_owned(),
        "disk_full" => "the server's disk is full; insert it again when there is space".to_owned(),
        other => format!("the document was not stored ({other}); insert it again"),
    }
}
