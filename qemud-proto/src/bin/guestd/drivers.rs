//! Which drivers are served.

use std::sync::Arc;

use anyhow::Context;
use qemud_proto::daemon::Daemon;
use qemud_proto::driver::Driver;
#[cfg(feature = "libvirt")]
use qemud_proto::driver::libvirt::LibvirtDriver;
#[cfg(feature = "qemu")]
use qemud_proto::driver::qemu::{QemuConfig, QemuDriver};
use qemud_proto::driver::test::TestDriver;

use crate::settings::{DriverName, Settings};

/// A daemon with the drivers that were named, or else with those that there can be.
pub(crate) async fn daemon(settings: &Settings) -> anyhow::Result<Daemon> {
    let mut drivers: Vec<Arc<dyn Driver>> = Vec::new();
    match named(settings)? {
        Some(names) => {
            for name in names {
                drivers.push(open(*name, settings).await?);
            }
        }
        None => {
            drivers.push(open(DriverName::Test, settings).await?);
            match open(DriverName::Qemu, settings).await {
                Ok(driver) => drivers.push(driver),
                Err(reason) => tracing::info!("the driver 'qemu' is not served: {reason:#}"),
            }
            #[cfg(feature = "libvirt")]
            drivers.push(open(DriverName::Libvirt, settings).await?);
        }
    }
    let mut drivers = drivers.into_iter();
    let daemon = Daemon::new(drivers.next().context("no driver is named")?);
    Ok(drivers.fold(daemon, Daemon::with_driver))
}

/// Whether the drivers could be served, as far as can be told without touching guests.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    if named(settings)?.is_some_and(|names| names.contains(&DriverName::Qemu)) {
        settings.config_dir()?;
        settings.state_dir()?;
    }
    Ok(())
}

/// The drivers that are named, which this program has, each once.
fn named(settings: &Settings) -> anyhow::Result<Option<&[DriverName]>> {
    let Some(names) = settings.drivers.as_deref() else { return Ok(None) };
    anyhow::ensure!(!names.is_empty(), "no driver is named");
    for (index, name) in names.iter().enumerate() {
        anyhow::ensure!(
            !names.iter().take(index).any(|other| other == name),
            "the driver '{}' is named twice",
            name.as_str()
        );
        anyhow::ensure!(name.is_built(), "this guestd was built without the driver '{}'", name.as_str());
    }
    Ok(Some(names))
}

async fn open(name: DriverName, settings: &Settings) -> anyhow::Result<Arc<dyn Driver>> {
    match name {
        DriverName::Test => {
            let empty = settings.empty.unwrap_or(false);
            let driver = if empty { TestDriver::new() } else { TestDriver::with_defaults()? };
            Ok(Arc::new(driver.with_event_queue(settings.event_queue())))
        }
        DriverName::Qemu => qemu(settings).await.context("the driver 'qemu' cannot be served"),
        #[cfg(feature = "libvirt")]
        DriverName::Libvirt => {
            let driver = LibvirtDriver::new().with_event_queue(settings.event_queue());
            // Guests of QEMU are the daemon's own, unless its settings say otherwise: where they cannot be served, nobody
            // is led to others.
            let own = settings.drivers.is_none().then_some([DriverName::Qemu, DriverName::Test]);
            let left = |driver: LibvirtDriver, name: DriverName| driver.without(name.as_str());
            Ok(Arc::new(own.into_iter().flatten().fold(driver, left)))
        }
        #[cfg(not(feature = "libvirt"))]
        DriverName::Libvirt => anyhow::bail!("this guestd was built without it"),
    }
}

#[cfg(feature = "qemu")]
async fn qemu(settings: &Settings) -> anyhow::Result<Arc<dyn Driver>> {
    let folder = DriverName::Qemu.as_str();
    let mut config = QemuConfig::new(settings.config_dir()?.join(folder), settings.state_dir()?.join(folder))
        .with_monitor_limit(settings.monitor_limit())
        .with_event_queue(settings.event_queue());
    if let Some(bandwidth) = settings.save_bandwidth() {
        config = config.with_save_bandwidth(bandwidth);
    }
    // Guests may name another emulator, so this is not asked of a driver that was named.
    if settings.drivers.is_none() {
        QemuDriver::find_emulator().await?;
    }
    Ok(Arc::new(QemuDriver::open(config).await?))
}

#[cfg(not(feature = "qemu"))]
async fn qemu(_: &Settings) -> anyhow::Result<Arc<dyn Driver>> {
    anyhow::bail!("this guestd was built without it")
}
