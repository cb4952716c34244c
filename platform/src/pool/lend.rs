//! The one place where the compiler cannot see that a borrow ends in time.
#![expect(unsafe_code, reason = "threads that outlive a loop borrow from it, which no safe type can say")]

use super::{Pool, Work};

/// Work that somebody lends for the time of a [`Lease`].
#[derive(Clone, Copy)]
pub(super) struct Lent(&'static Work<'static>);

impl Lent {
    pub(super) fn run(self) {
        (self.0)();
    }
}

/// While it lives, helpers may work; when it is dropped, they are done.
pub(super) struct Lease<'a>(&'a Pool);

/// Lends `work` to the helpers of a pool until the lease is dropped. The caller drops it: it is
/// neither forgotten nor moved anywhere.
pub(super) fn lend<'a>(pool: &'a Pool, work: &'a Work<'a>, n_wanted: usize) -> Lease<'a> {
    let lease = Lease(pool);
    // SAFETY: only the lifetime changes. Helpers take the work out of the pool's state under its
    // lock and count themselves in `n_inside` before they release it. Dropping the lease removes
    // the work from the state under the same lock and returns only when `n_inside` is 0 again, or
    // aborts. The lease borrows `work` and is a local variable of `Pool::fork`, so it is dropped,
    // by return or by unwinding, before `work` ends.
    let work = unsafe { std::mem::transmute::<&'a Work<'a>, &'static Work<'static>>(work) };
    pool.open(Lent(work), n_wanted);
    lease
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
