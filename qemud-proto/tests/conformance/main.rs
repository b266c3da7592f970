//! The contract of drivers: one suite, over each of them.
//!
//! `DRIVERS.md` beside the package's manifest lists what holds and what each driver does; the suite looks at each driver and
//! compares. So each difference is written down there, and none that is written down has gone unnoticed.
//!
//! - `subject`: a driver, and what it was seen to do
//! - `domains`, `running`, `saving`, `networks`: what one client sees
//! - `together`: several clients, and events
//! - below: the subjects

#![cfg(feature = "daemon")]

mod domains;
mod networks;
mod running;
mod saving;
mod subject;
mod together;

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "libvirt")]
use qemud_proto::driver::libvirt::LibvirtDriver;
use qemud_proto::driver::test::TestDriver;

use crate::subject::Subject;

/// How long a subject may take for all of it: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(300);

/// Everything, one after the other, on one driver: each part leaves it as it was.
async fn conforms(subject: Subject) {
    let all = async {
        running::host(&subject).await;
        domains::definitions(&subject).await;
        domains::lookups_that_find_nothing(&subject).await;
        domains::descriptions(&subject).await;
        domains::xml_that_is_refused(&subject).await;
        domains::autostart(&subject).await;
        running::created_domains(&subject).await;
        running::started_domains(&subject).await;
        running::processors(&subject).await;
        running::information(&subject).await;
        saving::saved_domains(&subject).await;
        saving::files_that_are_refused(&subject).await;
        networks::networks(&subject).await;
        together::clients_at_a_time(&subject).await;
        together::events(&subject).await;
        domains::persistence(&subject).await;
    };
    tokio::time::timeout(PATIENCE, all).await.expect("the driver does not answer");
    subject.compare();
}

#[cfg(feature = "libvirt")]
#[tokio::test(flavor = "multi_thread")]
async fn libvirt_with_its_test_driver_does_what_the_table_says() {
    // The guests of this URI are in this process, and every connection of it has the same.
    let driver = LibvirtDriver::new().connect("test:///default").await.unwrap();
    conforms(Subject::new("libvirt, test", driver, "test")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_driver_does_what_the_table_says() {
    conforms(Subject::new("test", Arc::new(TestDriver::with_defaults().unwrap()), "test")).await;
}
