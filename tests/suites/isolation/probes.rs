//! Do random requests, tens of thousands of them, ever bring somebody what is not theirs?
//!
//! Each probe follows from the seed and its number: whose key, which route of the server's own table, and what it names: a place of one's own,
//! somebody else's, one that isn't there, or what is no name at all; the document of one place in the partition of another; ids where ids of
//! another kind belong. What comes back is looked through for every token of the crowd, and held against what the same request
//! brings about a place that isn't there. `cargo xtask probes` makes as many as it is told.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use strongroom::{Access, Kind, Route};
use strongroom_tests::chance::Chance;
use strongroom_tests::client::Answer;
use strongroom_tests::probes::crowd::{Crowd, missing, missing_office, steady};
use strongroom_tests::probes::holders::{Holder, Reach, all, workspace_of};
use strongroom_tests::probes::tokens::What;
use strongroom_tests::server::Server;
use strongroom_tests::world::{Office, Place, World};

use super::{Sent, is_read, offered, request};

/// Connections that probe at once.
const PROBERS: usize = 8;
/// So many faults say enough.
const FAULTS_MAX: usize = 800;

/// So often a long run tells where it is.
const TOLD_EVERY: usize = 50_000;

/// What no name, or id, should be.
const HOSTILE: [&str; 22] = [
    "",
    " ",
    ".",
    "..",
    "../..",
    "/",
    "*",
    "%",
    "%2e%2e%2f",
    "null",
    "undefined",
    "{id}",
    "-1",
    "0",
    "18446744073709551616",
    "\0",
    "a\0b",
    "\u{202e}emca",
    "' OR 1=1; --",
    "\"}],{",
    "default",
    "memory",
];

/// Routes by which a place of one's own may be written to: what is there stays.
const INSERTS: [&str; 8] = [
    "/v1/documents",
    "/v1/documents/async",
    "/v1/documents/embed",
    "/v1/documents/batch",
    "/v1/threads/{id}/append",
    "/v1/collections/{name}/documents",
    "/v1/collections/{name}/documents/batch/upload",
    "/api/v1/memory/ingest",
];

/// Fields of answers that count.
const COUNTS: [&str; 14] = [
    "total",
    "count",
    "documents",
    "partitions",
    "memories",
    "document_count",
    "partition_count",
    "memory_count",
    "memoryCount",
    "chunk_count",
    "vector_count",
    "passages",
    "keys",
    "members",
];

/// What a probe is about.
struct Target {
    /// Whose partition, collection or tenant is named.
    place: Place,
    /// Its number, and that of the place whose document is named, when they are of the crowd.
    numbers: [Option<usize>; 2],
    office: Office,
    is_of_own_office: bool,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Content,
    Name,
    Count,
    Difference,
    Failure,
}

struct Prober<'a> {
    seed: u64,
    crowd: &'a Crowd,
    kinds: &'a [Vec<Holder>],
    routes: &'a [&'static Route],
    /// What each place may have been given so far.
    given: &'a [Given],
}

/// What requests may have written into a place.
#[derive(Default)]
struct Given {
    times: AtomicUsize,
    /// Names of others that a writer used for what it wrote there: it told them, and nobody it.
    names: Mutex<HashSet<String>>,
}

/// What probes came to.
#[derive(Default)]
struct Sum {
    statuses: BTreeMap<u16, usize>,
    routes: BTreeMap<String, usize>,
    own: usize,
    compared: usize,
    faults: Vec<(Fault, String)>,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        other
            .statuses
            .into_iter()
            .for_each(|(status, count)| *self.statuses.entry(status).or_default() += count);
        other.routes.into_iter().for_each(|(route, count)| *self.routes.entry(route).or_default() += count);
        self.own += other.own;
        self.compared += other.compared;
        self.faults.extend(other.faults);
    }

    fn count(&self) -> usize {
        self.statuses.values().sum()
    }
}

impl Prober<'_> {
    /// One probe, and what it found.
    fn probe(&self, number: usize, sum: &mut Sum) {
        let mut chance = Chance::new(self.seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let kind = chance.pick(self.kinds);
        let holder = chance.pick(kind);
        let (route, target) = loop {
            let (route, target) = (*chance.pick(self.routes), self.target(holder, &mut chance));
            if self.is_allowed(holder, route, &target) && !is_rare(route, &mut chance) {
                break (route, target);
            }
        };
        let is_named = chance.percent(80);
        let header = chance.percent(20).then(|| *chance.pick(&["ours", "theirs", "default", ""]));
        let header = header.filter(|_| !matches!(holder.reach, Reach::Operator(_)));
        if !is_read(route) {
            self.note_gift(holder, route, &target, is_named);
        }
        let (said, answer) = self.send(holder, route, &target, is_named, header);
        let about = |what: &str| {
            let seed = self.seed;
            format!(
                "probe {number} of seed {seed}, the key {} {:?}, {} {said}: {what}. {answer}",
                holder.kind, holder.reach, route.method
            )
        };
        for (fault, what) in self.faults(holder, route, &said, &answer) {
            sum.faults.push((fault, about(&what)));
        }
        *sum.statuses.entry(answer.status).or_default() += 1;
        *sum.routes.entry(format!("{} {}", route.method, route.path)).or_default() += 1;
        let is_own =
            target.numbers.iter().flatten().any(|number| holder.reaches(*number, self.crowd.place(*number)));
        sum.own += usize::from(is_own && answer.status < 300);
        if self.is_foreign(holder, route, &target) {
            let other = self.elsewhere(&target, holder, &mut chance);
            let (missed_by, missed) = self.send(holder, route, &other, is_named, header);
            // A route that takes neither a name nor an id was asked the same twice.
            let is_other = missed_by != said;
            sum.compared += usize::from(is_other);
            if is_other && normal(&answer, &target) != normal(&missed, &other) {
                sum.faults.push((Fault::Difference, about(&format!("but what isn't there brings {missed}"))));
            }
        }
    }

    fn send(
        &self,
        holder: &Holder,
        route: &Route,
        target: &Target,
        is_named: bool,
        workspace: Option<&str>,
    ) -> (String, Answer) {
        let (said, Sent { path, headers, body }) = self.words_of(route, target, is_named);
        let mut headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.extend(workspace.map(|name| ("strongroom-workspace", name)));
        (said, holder.send(route.method, &path, &headers, body))
    }

    /// A request, and what it says.
    fn words_of(&self, route: &Route, target: &Target, is_named: bool) -> (String, Sent) {
        let offices = [target.office.clone(), target.office.clone()];
        let world = World { places: Vec::new(), offices, dimension: self.crowd.world.dimension };
        let sent = request(route, &target.place, &world, is_named);
        (format!("{} {}", sent.path, String::from_utf8_lossy(&sent.body)), sent)
    }

    /// Notes, before it is sent, what a write may leave in the places it may reach: those it names, and the one its key is pinned to.
    fn note_gift(&self, holder: &Holder, route: &Route, target: &Target, is_named: bool) {
        let own = match holder.reach {
            Reach::Place(own) => Some(own),
            // What is not named goes where all go who reach one of the holder's places.
            _ if !is_named => (0..self.given.len()).find(|at| self.reaches(holder, *at)),
            _ => None,
        };
        let places = [target.numbers[0], self.crowd.owner_of(&target.place.tenant), own];
        let places: HashSet<usize> = places.into_iter().flatten().collect();
        let (said, _) = self.words_of(route, target, is_named);
        let names = self.crowd.tokens.found(&said).filter(|(_, _, what)| *what == What::Name);
        let names: Vec<&str> = names.map(|(name, ..)| name).collect();
        for place in places {
            let given = &self.given[place];
            given.times.fetch_add(1, Ordering::Relaxed);
            let mut told = given.names.lock().expect("no prober panics with it");
            told.extend(names.iter().map(|name| (*name).to_owned()));
        }
    }

    fn reaches(&self, holder: &Holder, at: usize) -> bool {
        holder.reaches(at, self.crowd.place(at))
    }

    /// Whether a name may stand where the holder reads because somebody wrote it there.
    fn was_given(&self, holder: &Holder, name: &str) -> bool {
        let reached =
            self.given.iter().enumerate().filter(|(at, _)| holder.reaches(*at, self.crowd.place(*at)));
        reached
            .into_iter()
            .any(|(_, given)| given.names.lock().expect("no prober panics with it").contains(name))
    }

    /// Whom a probe is about.
    fn target(&self, holder: &Holder, chance: &mut Chance) -> Target {
        let crowd = self.crowd;
        let places = &crowd.world.places;
        let own = match holder.reach {
            Reach::Place(own) => own,
            _ => (0..64)
                .map(|_| chance.below(places.len()))
                .find(|number| holder.reaches(*number, crowd.place(*number)))
                .unwrap_or(0),
        };
        let mut foreign = || {
            let near = |number: &usize| crowd.place(*number).collection == crowd.place(own).collection;
            let is_near = chance.percent(50);
            let found = (0..64)
                .map(|_| chance.below(places.len()))
                .find(|number| *number != own && (!is_near || near(number)));
            found.unwrap_or((own + 1) % places.len())
        };
        let (mut named, mut thing) = (foreign(), foreign());
        match chance.below(100) {
            0..30 => named = own,
            30..40 => thing = own,
            40..60 => (named, thing) = (own, own),
            60..75 => thing = named,
            _ => {}
        }
        let mut place = crowd.place(named).clone();
        place.document.clone_from(&crowd.place(thing).document);
        let mut numbers = [Some(named), Some(thing)];
        let mut office = crowd.world.offices[chance.below(2)].clone();
        match chance.below(100) {
            0..8 => {
                place = missing(&place, chance);
                numbers = [None, None];
            }
            8..12 => office = missing_office(&office, chance),
            12..20 => {
                place.document = (*chance.pick(&HOSTILE)).to_owned();
                numbers[1] = None;
            }
            20..26 => {
                place.partition = Some(bent(place.mark, chance));
                place.tenant = place.partition.unwrap_or_default().to_owned();
                numbers = [None, numbers[1]];
            }
            // An id where one of another kind belongs.
            26..36 => {
                let ids =
                    [&office.id, &office.key, &office.member, &office.receipt, &office.job, &place.tenant];
                place.document = (*chance.pick(&ids)).clone();
                numbers[1] = None;
            }
            _ => {}
        }
        let is_of_own_office = match holder.reach {
            Reach::Nothing => false,
            Reach::Place(own) => office.name == crowd.place(own).workspace,
            Reach::Shared(at) | Reach::Workspace(at) | Reach::Operator(at) => {
                office.name == crowd.world.offices[at].name
            }
        };
        Target { place, numbers, office, is_of_own_office }
    }

    /// Whether a probe leaves alone what its holder may change: that is no matter here.
    fn is_allowed(&self, holder: &Holder, route: &Route, target: &Target) -> bool {
        if route.path.ends_with("/events") {
            return matches!(holder.reach, Reach::Nothing);
        }
        let is_own = |at: usize| {
            target.numbers[at].is_some_and(|number| holder.reaches(number, self.crowd.place(number)))
        };
        if is_read(route) || INSERTS.contains(&route.path) && route.kind == Kind::Data {
            return true;
        }
        let is_of_others = !is_own(0) && !is_own(1) && target.numbers[0].is_some();
        let is_lent = |own: usize| self.crowd.place(own).tenant == target.place.tenant;
        match holder.reach {
            Reach::Nothing => true,
            Reach::Operator(_) => false,
            Reach::Place(own) if is_own(0) => {
                // The document of another place, as if it were in one's own.
                let is_by_id = route.path.contains("/documents/") && route.path.contains('{');
                is_by_id && !is_own(1) && target.numbers[1].is_some() && !is_lent(own)
            }
            Reach::Place(own) => is_of_others && !is_lent(own),
            Reach::Shared(at) => {
                is_of_others && target.place.collection != strongroom_tests::probes::crowd::SHARED[at]
            }
            Reach::Workspace(at) => {
                let is_outside = |number: &usize| workspace_of(self.crowd.place(*number)) != at;
                route.path.contains("{id}")
                    && !route.path.contains("{name}")
                    && is_of_others
                    && target.numbers.iter().flatten().all(is_outside)
                    && !target.is_of_own_office
            }
        }
    }

    /// Whether the request is about what is there and is not the holder's to know of.
    fn is_foreign(&self, holder: &Holder, route: &Route, target: &Target) -> bool {
        let [Some(named), Some(thing)] = target.numbers else { return false };
        let reaches = |number: usize| holder.reaches(number, self.crowd.place(number));
        let is_about_it = match route.kind {
            Kind::Data => true,
            Kind::Free | Kind::Admin => route.path.contains("{id}") && !target.is_of_own_office,
        };
        // Whoever may write anywhere may have made what another workspace has as well; tokens and sign-ins differ each time.
        let is_steady = !route.path.contains("/auth/") && !INSERTS.contains(&route.path);
        let is_bound = matches!(holder.reach, Reach::Place(_) | Reach::Nothing);
        // The tenant that another place names is lent to it by the holder's own.
        let is_lent = route.path.starts_with("/api/v1/")
            && matches!(holder.reach, Reach::Place(own) if self.crowd.place(own).tenant == target.place.tenant);
        is_about_it
            && is_steady
            && is_bound
            && !is_lent
            // The holder's own place may have a document of its own by that id.
            && !self.was_given(holder, &target.place.document)
            && !reaches(thing)
            && (named == thing || reaches(named))
    }

    /// The same request about what isn't there.
    fn elsewhere(&self, target: &Target, holder: &Holder, chance: &mut Chance) -> Target {
        let fresh = missing(&target.place, chance);
        let is_own = target.numbers[0].is_some_and(|number| holder.reaches(number, self.crowd.place(number)));
        let place = if is_own { Place { document: fresh.document, ..target.place.clone() } } else { fresh };
        let office = missing_office(&target.office, chance);
        Target { place, numbers: [None, None], office, is_of_own_office: false }
    }

    /// What in an answer isn't the holder's to see.
    fn faults(&self, holder: &Holder, route: &Route, said: &str, answer: &Answer) -> Vec<(Fault, String)> {
        let told = format!("{:?} {}", answer.headers, answer.text());
        let mut faults = Vec::new();
        for (token, owner, what) in self.crowd.tokens.found(&told) {
            if holder.may_see(token, owner, what, self.crowd) {
                continue;
            }
            match what {
                What::Content => faults
                    .push((Fault::Content, format!("{token} of {owner:?} leaked {}", around(&told, token)))),
                What::Name if said.contains(token) || self.was_given(holder, token) => {}
                What::Name => faults
                    .push((Fault::Name, format!("{token} of {owner:?} is named {}", around(&told, token)))),
            }
        }
        if answer.status >= 500 && answer.status != 501 {
            faults.push((Fault::Failure, "it failed".to_owned()));
        }
        // What is open to everybody, as the API's description is, counts nothing of anybody's.
        if let Reach::Place(own) = holder.reach
            && route.access != Access::Open
            && let Ok(body) = serde_json::from_slice::<Value>(&answer.body)
        {
            let most = 8 + 2 * self.given[own].times.load(Ordering::Relaxed) as u64;
            for (name, count) in counts(&body).into_iter().filter(|(_, count)| *count > most) {
                faults.push((Fault::Count, format!("{name} is {count}, of at most {most}")));
            }
        }
        faults
    }
}

/// Where a token stands in what was told.
fn around(told: &str, token: &str) -> String {
    let before = told.split(token).next().unwrap_or_default();
    let start: String = before.chars().rev().take(100).collect::<Vec<_>>().into_iter().rev().collect();
    format!("behind {start:?}")
}

/// Signing in takes time by design, and is refused after a while.
fn is_rare(route: &Route, chance: &mut Chance) -> bool {
    route.path.starts_with("/v1/auth/") && !chance.percent(5)
}

/// Somebody's name, but for a trifle.
fn bent(mark: &str, chance: &mut Chance) -> &'static str {
    let bent = match chance.below(8) {
        0 => format!("{mark} "),
        1 => mark.to_uppercase(),
        2 => format!("{mark}\0"),
        3 => format!("./{mark}"),
        4 => format!("{mark}%00"),
        5 => mark[..mark.len() - 1].to_owned(),
        6 => mark.repeat(20),
        _ => return chance.pick::<&str>(&HOSTILE),
    };
    Box::leak(bent.into_boxed_str())
}

/// Every number in an answer that counts something.
fn counts(value: &Value) -> Vec<(&str, u64)> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| match field.as_u64() {
                Some(count) if COUNTS.contains(&name.as_str()) => vec![(name.as_str(), count)],
                _ => counts(field),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(counts).collect(),
        _ => Vec::new(),
    }
}

/// An answer without what names its request.
fn normal(answer: &Answer, target: &Target) -> (u16, String) {
    let body = serde_json::from_slice::<Value>(&answer.body)
        .map_or_else(|_| answer.text(), |body| steady(&body).to_string());
    let (place, office) = (&target.place, &target.office);
    let ids = [
        place.mark,
        &place.document,
        &place.tenant,
        &office.id,
        &office.key,
        &office.member,
        &office.invitation,
        &office.receipt,
        &office.job,
    ];
    let ids = ids.into_iter().filter(|id| !id.is_empty());
    (answer.status, ids.fold(body, |body, id| body.replace(id, "#")))
}

/// Makes so many probes from a seed, by so many probers at once.
#[expect(clippy::print_stdout, reason = "where a long run is, with --nocapture")]
fn run(crowd: &Crowd, kinds: &[Vec<Holder>], seed: u64, count: usize, probers: usize) -> Sum {
    let routes: Vec<&'static Route> = offered().collect();
    let given: Vec<Given> = crowd.world.places.iter().map(|_| Given::default()).collect();
    let prober = Prober { seed, crowd, kinds, routes: &routes, given: &given };
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let probers: Vec<_> = (0..probers)
            .map(|_| {
                scope.spawn(|| {
                    let mut sum = Sum::default();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count || sum.faults.len() >= FAULTS_MAX / probers {
                            return sum;
                        }
                        prober.probe(number, &mut sum);
                        if number > 0 && number.is_multiple_of(TOLD_EVERY) {
                            println!("{number} probes; faults so far, of one prober: {:#?}", sum.faults);
                        }
                    }
                })
            })
            .collect();
        let mut whole = Sum::default();
        probers.into_iter().for_each(|prober| whole.add(prober.join().expect("a prober ends")));
        whole
    })
}

fn parameter(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable} is a whole number, not {text:?}"))
    })
}

// A request that nobody thought of would bring one customer what is another's.
#[test]
#[expect(clippy::print_stdout, reason = "what a long run was, with --nocapture")]
fn random_requests_bring_nobody_what_is_not_theirs() {
    let count = parameter("STRONGROOM_PROBES", 20_000);
    let seed = parameter("STRONGROOM_PROBES_SEED", 6) as u64;
    let server = Server::start();
    let crowd = Crowd::fill(&server, parameter("STRONGROOM_PROBES_PLACES", 1000), seed);
    let kinds = all(&server, &crowd);
    let sum = run(&crowd, &kinds, seed, count, PROBERS);
    println!(
        "{} probes of seed {seed} on {} routes by {} keys about {} places with {} tokens: {} served with their own, {} compared \
         with what isn't there; by status {:?}",
        sum.count(),
        sum.routes.len(),
        kinds.iter().map(Vec::len).sum::<usize>(),
        crowd.world.places.len(),
        crowd.tokens.len(),
        sum.own,
        sum.compared,
        sum.statuses,
    );
    let first: Vec<&String> = sum.faults.iter().map(|(_, what)| what).take(10).collect();
    assert!(first.is_empty(), "{} faults, of which: {first:#?}", sum.faults.len());
    assert_eq!(sum.count(), count);
    let unasked: Vec<String> = offered()
        .map(|route| format!("{} {}", route.method, route.path))
        .filter(|route| !sum.routes.contains_key(route))
        .collect();
    assert!(count < 20_000 || unasked.is_empty(), "nobody asked for {unasked:?}");
    assert!(sum.own > count / 20, "hardly anybody was served: {:?}", sum.statuses);
    crowd.expect_whole(&server);
}

// A probe that can't see a leak would call any server tight.
#[test]
fn a_key_that_reaches_further_than_it_should_is_found() {
    let server = Server::start();
    let crowd = Crowd::fill(&server, 64, 7);
    let operator = server.operator();
    let ours = operator.in_workspace("ours");
    let wide = strongroom_tests::keys::mint(&ours, &serde_json::json!({}));
    // What this key brings is held against a narrower reach than it has, as a defect would have it.
    let too_wide = Holder::new("too wide", operator.with_key(&wide.key), Reach::Place(0));
    // One at a time: it may drop what another prober would be reading.
    let sum = run(&crowd, &[vec![too_wide]], 7, 600, 1);
    for fault in [Fault::Content, Fault::Name, Fault::Count, Fault::Difference] {
        let found = sum.faults.iter().filter(|(found, _)| *found == fault).count();
        assert!(found > 0, "no probe found a {fault:?}");
    }
}
