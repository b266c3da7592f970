//! What is defined, on disk and in memory: the disk comes first, so that nothing is promised that it does not keep.

use std::sync::Arc;

use super::hypervisor::Hypervisor;
use super::parse;
use crate::driver::disk::blocking;
use crate::driver::store::Stored;
use crate::failure::Reply;
use crate::identity::Uuid;
use crate::messages::Identity;

impl Hypervisor {
    /// Reads all definitions. What is wrong with a file is in the log; the file stays as it is.
    pub(super) async fn load_definitions(&self) -> Reply<()> {
        let store = self.store.clone();
        let loaded = blocking(move || store.load()).await?;
        for (file, reason) in &loaded.faults {
            tracing::error!(file = %file.display(), reason, "a definition is left out");
        }
        for stored in loaded.definitions {
            let file = self.store.path(&stored.name);
            if let Err(reason) = self.take(stored).await {
                tracing::error!(file = %file.display(), reason, "a definition is left out");
            }
        }
        Ok(())
    }

    async fn take(&self, stored: Stored) -> Result<(), String> {
        let mut definition = parse(&stored.xml).map_err(|failure| failure.message)?;
        // Where it has no identity and a guest runs that has its name, it is that guest's.
        if let Ok(running) = self.domains().of_name(&definition.name) {
            definition = definition.or_identity(running.uuid).map_err(|failure| failure.message)?;
        }
        let (name, uuid) = (definition.name.clone(), definition.uuid);
        if name != stored.name {
            return Err(format!("it defines '{name}', which belongs into the file {name}.xml"));
        }
        // One without a UUID gets the same each time.
        let (xml, store) = (definition.stored_xml(), self.store.clone());
        self.domains().define(definition).map_err(|failure| failure.message)?;
        if xml != stored.xml {
            blocking(move || store.write(&name, &xml)).await.map_err(|failure| failure.message)?;
        }
        self.domains().set_autostart(uuid, stored.autostart).map_err(|failure| failure.message)
    }

    /// Starts what is marked to start together with the daemon, one after the other.
    pub(super) async fn autostart(self: &Arc<Self>) {
        let marked: Vec<_> = {
            let domains = self.domains();
            let uuids =
                domains.inactive().into_iter().filter_map(|name| Some((domains.of_name(&name).ok()?.uuid, name)));
            uuids.filter(|(uuid, _)| domains.autostart(*uuid) == Ok(true)).collect()
        };
        for (uuid, name) in marked {
            match self.start(uuid).await {
                Ok(id) => tracing::info!(domain = name, id, "started together with the daemon"),
                Err(failure) => tracing::error!(domain = name, %failure, "cannot start together with the daemon"),
            }
        }
    }

    pub(super) async fn start(self: &Arc<Self>, uuid: Uuid) -> Reply<i32> {
        let reserved = {
            let _changes = self.changes.lock().await;
            let mut domains = self.domains();
            let definition = domains.may_start(uuid)?;
            domains.reserve(definition)?
        };
        self.launch(reserved, None).await
    }

    pub(super) async fn define(&self, xml: &str) -> Reply<Identity> {
        let definition = parse(xml)?;
        let _changes = self.changes.lock().await;
        let is_new = {
            let domains = self.domains();
            domains.may_define(&definition)?;
            domains.may_set_autostart(definition.uuid).is_err()
        };
        let (store, name, xml) = (self.store.clone(), definition.name.clone(), definition.stored_xml());
        blocking(move || if is_new { store.write_new(&name, &xml) } else { store.write(&name, &xml) }).await?;
        self.domains().define(definition)
    }

    pub(super) async fn undefine(&self, uuid: Uuid) -> Reply<()> {
        let _changes = self.changes.lock().await;
        let (store, name) = (self.store.clone(), self.domains().may_undefine(uuid)?);
        blocking(move || store.remove(&name)).await?;
        self.domains().undefine(uuid)
    }

    pub(super) async fn set_autostart(&self, uuid: Uuid, autostart: bool) -> Reply<()> {
        let _changes = self.changes.lock().await;
        let (store, name) = (self.store.clone(), self.domains().may_set_autostart(uuid)?);
        blocking(move || store.set_autostart(&name, autostart)).await?;
        self.domains().set_autostart(uuid, autostart)
    }
}
