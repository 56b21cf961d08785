//! Another user, for a moment.

use std::thread;

use rustix::process::Uid;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_thread_res_uid};

/// Nobody's number on every Linux.
const NOBODY: u32 = 65534;

/// Does `work` on a thread that belongs to another user, who may do nothing that is reserved. In a namespace that knows
/// only one user it is still him, without his permissions.
#[track_caller]
pub fn as_another_user<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let nobody = Uid::from_raw(NOBODY);
            if set_thread_res_uid(nobody, nobody, nobody).is_err() {
                let none = CapabilitySet::empty();
                let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
                set_capabilities(None, sets).expect("anybody may give up what he may");
            }
            work()
        });
        other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
