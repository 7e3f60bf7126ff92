//! What it costs to read of a long request what routing needs, and to pass it on: the same conversation
//! in every dialect.

#![allow(clippy::unwrap_used, reason = "what is built here is known to be well formed")]

#[path = "../tests/support/conversation.rs"]
mod conversation;

use std::hint::black_box;

use conversation::{APIS, asked};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use providerpool::{
    domain::{id::ModelName, model::ModelFacts},
    gateway::{exchange::ClientRequest, translate::Target},
};

fn needs(criterion: &mut Criterion) {
    let model = ModelName::parse("another-model").unwrap();
    let target = Target { model: &model, max_output_tokens: None, asks_stream_usage: false };
    let mut group = criterion.benchmark_group("needs");
    for (name, api, format) in APIS {
        let (asked, body, addressed) = asked(api, format);
        group.throughput(Throughput::Bytes(body.len() as u64));
        let read = || {
            let request = ClientRequest::parse(asked, body.clone(), &addressed).unwrap();
            let session = request.with_session_signals(|_| None, |_| Some(()));
            black_box((request.needs(), request.prompt_tokens(), session));
            request
        };
        group.bench_function(format!("{name} read"), |bencher| bencher.iter(read));
        group.bench_function(format!("{name} read and passed on"), |bencher| {
            bencher.iter(|| {
                read().for_upstream(format, &target, &ModelFacts::default()).unwrap().body.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, needs);
criterion_main!(benches);
