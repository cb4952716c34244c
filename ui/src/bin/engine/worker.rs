//! Requests come in, are served one after the other, and events go out. A task serves the queue;
//! the message handler only queues, and stops what is running when a `Cancel` comes.

mod files;
mod lock;
mod requests;
mod wire;

use std::cell::RefCell;
use std::collections::HashSet;
use std::pin::pin;
use std::rc::Rc;

use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use ui::{Event, Request, RequestId, ToEngine};
use web_sys::File;

use requests::Engine;

/// A request with the file that came beside it.
pub struct Job {
    message: ToEngine,
    file: Option<File>,
}

pub fn start() {
    std::panic::set_hook(Box::new(|info| wire::post(0, Event::Fatal { message: info.to_string() })));
    let (sender, jobs) = mpsc::unbounded();
    let running = Rc::new(RefCell::new(Running::default()));
    let queue = Rc::clone(&running);
    wire::listen(move |job| match job.message.request {
        Request::Cancel { id } => queue.borrow_mut().cancel(id),
        _ => sender.unbounded_send(job).expect("the queue lives as long as the worker"),
    });
    platform::spawn_local(serve(jobs, running));
}

async fn serve(mut jobs: mpsc::UnboundedReceiver<Job>, running: Rc<RefCell<Running>>) {
    let mut engine = Engine::default();
    while let Some(Job { message: ToEngine { id, request }, file }) = jobs.next().await {
        let Some(stop) = running.borrow_mut().begin(id) else {
            wire::post(id, Event::Stopped);
            continue;
        };
        let work = pin!(engine.serve(id, request, file));
        // Work that is given up is dropped where it waits; every commit is one step, so that
        // nothing half done stays behind.
        if let Either::Right((Ok(()), _)) = select(work, stop).await {
            wire::post(id, Event::Stopped);
        }
        running.borrow_mut().end();
    }
}

/// What runs, and what shall not run any more.
#[derive(Default)]
struct Running {
    id: RequestId,
    stop: Option<oneshot::Sender<()>>,
    /// Requests that were given up while they waited.
    cancelled: HashSet<RequestId>,
}

impl Running {
    /// Marks `id` as running; `None` if it was given up before.
    fn begin(&mut self, id: RequestId) -> Option<oneshot::Receiver<()>> {
        if self.cancelled.remove(&id) {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        (self.id, self.stop) = (id, Some(sender));
        Some(receiver)
    }

    fn end(&mut self) {
        // A cancel that came too late must not hit a later request.
        self.cancelled.remove(&self.id);
        (self.id, self.stop) = (0, None);
    }

    fn cancel(&mut self, id: RequestId) {
        match self.stop.take() {
            Some(stop) if self.id == id => {
                // The work may have ended in this very moment; then there is nothing to stop.
                let _ = stop.send(());
            }
            other => {
                self.stop = other;
                self.cancelled.insert(id);
            }
        }
    }
}
