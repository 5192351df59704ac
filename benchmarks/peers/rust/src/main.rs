//! A controller with one worker that does nothing, on kube-rs: what benchmarks/subject.py is for
//! Python, with the same options and the same line of output.

mod meter;
mod parcel;

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    env,
    error::Error,
    fmt::Debug,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, PartialObjectMeta},
    runtime::{
        Controller, controller,
        controller::Action,
        reflector::{Lookup, Store},
        watcher,
    },
};
use meter::Meter;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

const SETTLE: Duration = Duration::from_secs(2);
const SENT: &str = "benchmarks.smbpctl.dev/sent";

/// The command line: `--name=value`, as the other programs have it.
struct Options(HashMap<String, String>);

impl Options {
    fn parse() -> Self {
        let pair = |word: String| {
            let (name, value) = word.trim_start_matches('-').split_once('=')?;
            Some((name.into(), value.into()))
        };
        Options(env::args().skip(1).filter_map(pair).collect())
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> f64 {
        self.0.get(name).map_or(0.0, |value| value.parse().expect(name))
    }
}

/// What reconciles count; `synced` and `done` tell when all objects, and the last, were seen.
struct Seen {
    objects: usize,
    last: String,
    stamped: bool,
    count: AtomicUsize,
    synced: Notify,
    done: Notify,
    delays: Mutex<Vec<i64>>,
}

impl Seen {
    fn reconciled<K: ResourceExt>(&self, object: &K) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if count == self.objects {
            self.synced.notify_one();
        }
        if count <= self.objects {
            return;
        }
        if self.stamped {
            let delay = meter::now() - object.labels()[SENT].parse::<i64>().expect(SENT);
            self.delays.lock().expect("one worker").push(delay);
        }
        if object.meta().name.as_deref() == Some(self.last.as_str()) {
            self.done.notify_one();
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let client = connect(&options)?;
    match options.text("form") {
        "metadata" => measure::<PartialObjectMeta<DynamicObject>>(client, &options).await,
        "typed" => measure::<parcel::Parcel>(client, &options).await,
        _ => measure::<DynamicObject>(client, &options).await,
    }
}

fn connect(options: &Options) -> Result<Client, Box<dyn Error>> {
    let mut config = Config::new(options.text("server").parse()?);
    let credentials = options.text("credentials");
    if !credentials.is_empty() {
        let path = |name: &str| Path::new(credentials).join(name);
        config.root_cert_file = Some(path("authority.pem"));
        config.auth_info.client_certificate = Some(path("client.pem").display().to_string());
        config.auth_info.client_key = Some(path("client.key").display().to_string());
    }
    Ok(Client::try_from(config)?)
}

async fn measure<K>(client: Client, options: &Options) -> Result<(), Box<dyn Error>>
where
    K: Resource<DynamicType = ApiResource> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let seen = Arc::new(Seen {
        objects: options.number("amount") as usize,
        last: options.text("last").into(),
        stamped: options.number("stamped") > 0.0,
        count: AtomicUsize::new(0),
        synced: Notify::new(),
        done: Notify::new(),
        delays: Mutex::new(Vec::new()),
    });
    let events = options.number("events") as usize;
    let mut extras = BTreeMap::new();
    let mut metered = Meter::begin();
    let api = Api::<K>::all_with(client, &parcel::resource());
    let mut config = watcher::Config::default();
    if options.text("list") == "streaming" {
        config = config.streaming_lists();
    }
    let controller = Controller::new_with(api, config, parcel::resource())
        .with_config(controller::Config::default().concurrency(1));
    let store = controller.store();
    let running = tokio::spawn(
        controller
            .run(reconcile::<K>, |_, _, _| Action::await_change(), seen.clone())
            .for_each(async |_| ()),
    );
    let seconds = options.number("seconds");
    if seen.objects > 0 {
        seen.synced.notified().await;
    }
    if seconds > 0.0 {
        // Of a kind without objects nothing is told.
        tokio::time::sleep(SETTLE).await;
        extras.insert("rss_bytes_total", meter::settled_rss() as f64);
        metered = Meter::begin();
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }
    if events > 0 {
        metered = Meter::begin();
        println!("ready");
        seen.done.notified().await;
    }
    let cost = metered.end();
    let reconciles = seen.count.load(Ordering::Relaxed) - seen.objects;
    extras.insert("reconciles", reconciles as f64);
    if seen.stamped {
        percentiles(&mut seen.delays.lock().expect("one worker"), &mut extras);
    }
    let (amount, digest) = if events > 0 { (events, String::new()) } else { digest(&store) };
    running.abort();
    let reading = serde_json::json!({
        "amount": amount,
        "digest": digest,
        "extras": extras,
        "cpu_seconds": cost.cpu_seconds,
        "wall_seconds": cost.wall_seconds,
        "rss_bytes": cost.rss_bytes,
        "peak_bytes": cost.peak_bytes,
    });
    println!("{reading}");
    Ok(())
}

async fn reconcile<K: ResourceExt>(object: Arc<K>, seen: Arc<Seen>) -> Result<Action, Infallible> {
    seen.reconciled(object.as_ref());
    Ok(Action::await_change())
}

/// How many objects the store holds, and what benchmarks/subjects/outcome.py makes of them.
fn digest<K>(store: &Store<K>) -> (usize, String)
where
    K: Resource<DynamicType = ApiResource> + Lookup<DynamicType = ApiResource> + Clone + 'static,
{
    let mut lines: Vec<String> = store
        .state()
        .iter()
        .map(|each| format!("{} {}", each.name_any(), each.resource_version().unwrap_or_default()))
        .collect();
    lines.sort();
    let digest = Sha256::digest(lines.join("\n").as_bytes());
    (lines.len(), digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Adds the median, the 99th percentile and the maximum, in microseconds.
fn percentiles(delays: &mut [i64], extras: &mut BTreeMap<&str, f64>) {
    delays.sort();
    let at = |share: f64| delays[(share * (delays.len() - 1) as f64) as usize] as f64 / 1e3;
    extras.insert("p50_us", at(0.5));
    extras.insert("p99_us", at(0.99));
    extras.insert("max_us", at(1.0));
}
