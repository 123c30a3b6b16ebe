//! How long one decision takes with the host count of a large site.
#![expect(clippy::unwrap_used, reason = "a bench on values made here")]
#![allow(missing_docs, reason = "criterion makes public items")]

use criterion::{Criterion, criterion_group, criterion_main};
use reveille_plan::{BootState, Catalog, CatalogParts, decide};
use std::hint::black_box;
use types::resource::{Host, HostMatch, Image, ImageKind, OneOrMany};
use types::subnet::LoaderChoice;
use types::{Facts, Firmware, MacAddr, MachineGuid, Stage};

fn mac(at: u32) -> MacAddr {
    let [a, b, c, d] = at.to_be_bytes();
    MacAddr([0x52, 0x54, a, b, c, d])
}

fn guid(at: u32) -> MachineGuid {
    let mut bytes = [0x5a; 16];
    bytes[..4].copy_from_slice(&at.to_be_bytes());
    MachineGuid(bytes)
}

fn catalog(hosts: u32) -> Catalog {
    let image = Image {
        kernel: Some("linux".into()),
        initrd: vec!["initrd.gz".into()],
        ..Image::new("debian".parse().unwrap(), ImageKind::Linux)
    };
    let host = |at: u32| Host {
        image: Some(image.name.clone()),
        ..Host::new(
            format!("host-{at}").parse().unwrap(),
            HostMatch {
                mac: OneOrMany(vec![mac(at)]),
                uuid: Some(guid(at)),
                serial: Some(format!("SN{at}")),
            },
        )
    };
    Catalog::build(CatalogParts {
        hosts: (0..hosts).map(host).collect(),
        images: vec![image.clone()],
        loaders: vec![LoaderChoice { firmware: Firmware::UefiX64, file: "snponly.efi".into() }],
        ..CatalogParts::default()
    })
    .unwrap()
}

fn bench(criterion: &mut Criterion) {
    for hosts in [13_000, 100_000] {
        let catalog = catalog(hosts);
        let mut at = 0u32;
        let mut next = move || {
            at = (at + 7_919) % hosts;
            Facts {
                mac: Some(mac(at)),
                guid: Some(guid(at)),
                stage: Stage::Rom,
                firmware: Some(Firmware::UefiX64),
                ..Facts::default()
            }
        };
        criterion.bench_function(&format!("decide/{hosts} hosts"), |bencher| {
            bencher.iter_batched(
                &mut next,
                |facts| decide(&catalog, black_box(&facts), &BootState::default()),
                criterion::BatchSize::SmallInput,
            );
        });
        criterion.bench_function(&format!("explain/{hosts} hosts"), |bencher| {
            bencher.iter_batched(
                &mut next,
                |facts| decide(&catalog, black_box(&facts), &BootState::default()).trace.to_string(),
                criterion::BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
