//! temp
#![allow(warnings)]
mod reads; mod rig; mod store;
use rig::Rig; use std::time::Instant; use std::fs;
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency() {
    let rig = Rig::new();
    rig.put("workflows/i.yaml", "on: {file: {path: inbox, match: '*', settle: 0s}}\nsteps: [{run: x}]\n");
    let engine = rig.launch().await;
    rig.store.until("h", |t| (!t.health.is_empty()).then_some(())).await;
    let mut v = vec![];
    for n in 0..300 {
        fs::write(rig.path("tmpf"), "abc").unwrap();
        let b = Instant::now();
        fs::rename(rig.path("tmpf"), rig.path(&format!("inbox/{n}"))).unwrap();
        rig.store.until("f", |t| (t.files.len() > n).then_some(())).await;
        v.push(b.elapsed());
    }
    v.sort();
    eprintln!("latency p50 {:?} p99 {:?}", v[150], v[297]);
    let b = Instant::now();
    for n in 0..10000 { fs::write(rig.path(&format!("inbox/x{n}")), "abc").unwrap(); }
    eprintln!("written {:?}", b.elapsed());
    rig.store.until("f", |t| (t.files.len() >= 10300).then_some(())).await;
    eprintln!("10000 {:?} handled {}", b.elapsed(), rig.store.tables().files.len());
    engine.shut_down().await;
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows() {
    let rig = Rig::new();
    for n in 0..5000 { fs::write(rig.path(&format!("workflows/{n}.yaml")), "on: {schedule: {cron: '*/10 * * * * *', overlap: skip}}\nsteps: [{run: x}]\n").unwrap(); }
    let b = Instant::now();
    let e = rig.launch().await; eprintln!("first {:?}", b.elapsed());
    rig.store.until("f", |t| (t.fires.len() >= 5000).then_some(())).await;
    { let t = rig.store.tables(); let l = t.starts.iter().zip(&t.fires).map(|(s,(_, d))| (s.created_at - d.due_at).num_milliseconds()).max(); eprintln!("max lateness {l:?}"); }
    e.shut_down().await;
    let b = Instant::now();
    let e = rig.launch().await; eprintln!("second {:?} saves {}", b.elapsed(), rig.store.tables().saves);
    let cpu = || fs::read_to_string("/proc/self/stat").unwrap().split(' ').skip(13).take(2).map(|x| x.parse::<u64>().unwrap()).sum::<u64>();
    let c = cpu(); tokio::time::sleep(std::time::Duration::from_secs(4)).await; eprintln!("cpu ticks in 4s {}", cpu()-c);
    e.shut_down().await;
}
