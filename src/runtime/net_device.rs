//! The network devices of a create: found before anything is made, moved when the init program is where they belong.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::path::Path;

use oci_spec::runtime::Spec;

use crate::error::{Error, Kind, Result};
use crate::net_device::{apply, plan::Found};
use crate::spec;
use crate::sys::file;

/// Name in the container, device on the host.
#[derive(Debug, Default)]
pub(super) struct NetDevices(Vec<(String, Found)>);

impl NetDevices {
    /// The devices of the configuration as they are on the host.
    pub(super) fn find(spec: &Spec) -> Result<Self> {
        let Some(linux) = spec.linux().as_ref().filter(|linux| linux.net_devices().is_some()) else {
            return Ok(Self::default());
        };
        let names = spec::net_device::names(linux);
        let found = apply::find(names.keys())?;
        Ok(Self(names.into_values().zip(found).collect()))
    }

    /// What the plan wants to know of them.
    pub(super) fn facts(&self) -> Vec<Found> {
        self.0.iter().map(|(_, found)| found.clone()).collect()
    }

    /// The process waits in the container's network namespace.
    pub(super) fn move_to(&self, pid: i32) -> Result<()> {
        let path = format!("/proc/{pid}/ns/net");
        let namespace = file::open_readable(Path::new(&path))
            .map_err(|errno| Error::os(Kind::System, format!("open {path}"), errno as i32))?;
        for (name, device) in &self.0 {
            apply::move_to(device, name, namespace.as_fd())?;
        }
        Ok(())
    }
}
