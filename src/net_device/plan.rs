//! Which devices move, under which names, with which addresses (config-linux.md#network-devices). Pure.
#![forbid(unsafe_code)]

use oci_spec::runtime::Linux;

use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::spec::net_device::names;
use crate::wire::{NetDevice, Step};

/// A device as it was found on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) index: u32,
    /// Requests to add its permanent global addresses, ready to be sent to rtnetlink(7).
    pub(crate) addresses: Vec<Vec<u8>>,
}

/// One step for all of them; none, if there is nothing to move.
pub(crate) fn steps(linux: &Linux, host: &Host, found: &[Found]) -> Result<Option<Step>> {
    let names = names(linux);
    if names.is_empty() {
        return Ok(None);
    }
    if host.is_rootless() {
        let message = "linux.netDevices: a rootless runtime may not take devices from the host";
        return Err(Error::new(Kind::Permission, message));
    }
    let devices = names.into_values().zip(found);
    let devices = devices.map(|(name, found)| NetDevice { name, addresses: found.addresses.clone() });
    Ok(Some(Step::NetDevices(devices.collect())))
}
