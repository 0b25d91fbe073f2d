//! Waiting for an endpoint by a descriptor: its registration with a doorbell.

use std::sync::Arc;

use super::Endpoint;
use crate::doorbell::{Doorbell, Failed};
use crate::error::{Error, Fault};
use crate::flavor::Flavor;
use crate::os_error::Call;
use crate::protocol::Membership;
use crate::sysv::Errno;

impl Endpoint {
    fn failed(&self, (name, errno): Failed) -> Error {
        let channel = &self.id().to_string();
        match errno {
            Errno::EBUSY => Error::InWaitSet { channel: channel.clone() },
            errno => Call { name, channel }.doorbell(errno),
        }
    }

    /// Makes a doorbell for this endpoint alone (`is_solo`), or for any number.
    pub(crate) fn doorbell(&self, is_solo: bool) -> Result<Arc<Doorbell>, Error> {
        Doorbell::new(is_solo).map_err(|failed| self.failed(failed))
    }

    /// Registers this endpoint with a doorbell; returns its key there.
    pub(crate) fn register(&self, doorbell: &Arc<Doorbell>) -> Result<u32, Error> {
        self.check()?;
        if doorbell.is_forked() {
            return Err(Fault::Forked.into());
        }
        // In an SPSC channel there is no other member to pass a ring on to.
        let gate = (self.flavor() == Flavor::Mpmc).then(|| self.gate.guard());
        // SAFETY: the endpoint of an MPMC handle lies in an `Arc`, where it stays until it is
        // dropped, and its attachment deregisters it then.
        unsafe { self.attachment.register(doorbell, gate) }.map_err(|failed| self.failed(failed))
    }
}
