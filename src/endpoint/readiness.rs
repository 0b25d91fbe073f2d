//! Waiting for an endpoint by a descriptor: its registration with a doorbell.

use std::sync::Arc;
#[cfg(feature = "async")]
use std::sync::MutexGuard;

use super::Endpoint;
use crate::doorbell::{Doorbell, Failed, Kind};
use crate::error::{Error, Fault};
use crate::flavor::Flavor;
use crate::os_error::Call;
use crate::protocol::Membership;
use crate::sysv::Errno;

/// Why an endpoint was not registered.
#[derive(Debug)]
pub(crate) enum Refused {
    Fault(Fault),
    /// The call that failed; `EBUSY` if it is registered with another doorbell.
    Failed(Failed),
}

impl Endpoint {
    fn failed(&self, (name, errno): Failed) -> Error {
        let channel = &self.id().to_string();
        match errno {
            Errno::EBUSY => Error::InWaitSet { channel: channel.clone() },
            errno => Call::new(name, channel).doorbell(errno),
        }
    }

    /// Makes a doorbell for this endpoint alone.
    pub(crate) fn solo_doorbell(&self) -> Result<Arc<Doorbell>, Error> {
        Doorbell::new(Kind::Solo).map_err(|failed| self.failed(failed))
    }

    /// Registers this endpoint with a doorbell; returns its key there.
    pub(crate) fn register(&self, doorbell: &Arc<Doorbell>) -> Result<u32, Error> {
        #[cfg(feature = "async")]
        let _held = self.leave_idle_tasks();
        self.try_register(doorbell).map_err(|refused| match refused {
            Refused::Fault(fault) => fault.into(),
            Refused::Failed(failed) => self.failed(failed),
        })
    }

    /// Takes the endpoint out of a doorbell for tasks if no task waits for it any more. None can begin to
    /// while the result is held.
    #[cfg(feature = "async")]
    fn leave_idle_tasks(&self) -> Option<MutexGuard<'_, ()>> {
        let registration = self.attachment.registration();
        let present = registration.doorbell()?;
        if self.is_forked() || !present.is_for_tasks() {
            return None;
        }
        let held = registration.tasks().hold();
        if registration.tasks().count() == 0 {
            present.deregister_own(registration);
        }
        Some(held)
    }

    /// Does the same, and says less of what failed.
    pub(crate) fn try_register(&self, doorbell: &Arc<Doorbell>) -> Result<u32, Refused> {
        self.check().map_err(Refused::Fault)?;
        if doorbell.is_forked() {
            return Err(Refused::Fault(Fault::Forked));
        }
        // In an SPSC channel there is no other member to pass a ring on to.
        let gate = (self.flavor() == Flavor::Mpmc).then(|| self.gate.guard());
        // SAFETY: the endpoint of an MPMC handle lies in an `Arc`, where it stays until it is
        // dropped, and its attachment deregisters it then.
        unsafe { self.attachment.register(doorbell, gate) }.map_err(Refused::Failed)
    }
}
