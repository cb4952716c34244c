//! Requests come in, are served one after the other, and events go out.
//!
//! Each tab has a worker with this program, and one of them serves all tabs: the one with the lock.
//! The others pass on what their page asks and wait for the lock, with the program loaded and nothing
//! else. A task serves the queue; the message handlers only queue, and stop what is running when a
//! `Cancel` comes.

mod api;
mod files;
mod library;
mod lock;
mod models;
mod queue;
mod requests;
mod wire;

use std::cell::RefCell;
use std::collections::HashSet;
use std::pin::pin;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use ui::{Asker, Cancelled, Desk, Event, QueueRequest, Request, Setup, Turn};
use web_sys::File;

use models::Arrivals;
use requests::Engine;
use wire::Mail;

pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        wire::post(&wire::own(0), Event::Fatal { message: info.to_string() })
    }));
    wire::join();
    let office = Rc::new(Office::default());
    let of_page = Rc::clone(&office);
    wire::listen(move |mail| of_page.take_own(mail));
    platform::spawn_local(elect(office));
}

/// Serves, as soon as no other tab does.
async fn elect(office: Rc<Office>) {
    lock::live(&wire::own(0).tab).await;
    if !lock::try_take().await {
        for mail in office.become_guest() {
            wire::relay(&mail);
        }
        lock::take().await;
    }
    let of_all = Rc::clone(&office);
    wire::serve_all(move |mail| {
        of_all.watch(&mail.asker.tab);
        of_all.take(mail);
    });
    office.become_host();
    // Pages now send what was not answered.
    wire::post_all(Event::Moved);
    office.serve().await;
}

/// Where requests wait.
#[derive(Default)]
struct Office {
    role: RefCell<Role>,
    /// What this tab's page wished when it came.
    setup: RefCell<Option<Setup>>,
    /// Other tabs that asked something.
    guests: RefCell<HashSet<String>>,
    desk: RefCell<Desk<(Request, Vec<File>)>>,
    /// Ends the wait for a request.
    wake: RefCell<Option<oneshot::Sender<()>>>,
    /// Models on their way here.
    arrivals: Arrivals,
    /// Stops the running request.
    stop: RefCell<Option<oneshot::Sender<()>>>,
}

enum Role {
    /// Not known yet; what came so far.
    Open(Vec<Mail>),
    /// Another tab's engine serves.
    Guest,
    /// This engine serves all tabs.
    Host,
}

impl Default for Role {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl Office {
    /// Takes what this tab's page asks.
    fn take_own(&self, mail: Mail) {
        if let Request::Open(setup) = &mail.message.request {
            self.setup.replace(Some(setup.clone()));
        }
        match &mut *self.role.borrow_mut() {
            Role::Open(early) => return early.push(mail),
            Role::Guest => return wire::relay(&mail),
            Role::Host => {}
        }
        self.take(mail);
    }

    fn become_guest(&self) -> Vec<Mail> {
        match self.role.replace(Role::Guest) {
            Role::Open(early) => early,
            _ => Vec::new(),
        }
    }

    fn become_host(&self) {
        match self.role.replace(Role::Host) {
            Role::Open(early) => early.into_iter().for_each(|mail| self.take(mail)),
            // The page was ready once and does not ask again; with its wishes the engine opens now.
            _ => {
                if let Some(setup) = self.setup.take() {
                    self.queue(wire::own(0), Turn::Soon, Request::Open(setup), Vec::new());
                }
            }
        }
    }

    /// Takes what any tab asks of this engine.
    fn take(&self, mail: Mail) {
        let Mail { asker, message, files } = mail;
        match message.request {
            Request::Cancel { id } => self.cancel(&Asker { id, ..asker }),
            request => self.queue(asker, turn(&request), request, files),
        }
    }

    /// When a tab goes away, nobody hears the answers to its questions.
    fn watch(self: &Rc<Self>, tab: &str) {
        if !self.guests.borrow_mut().insert(tab.to_owned()) {
            return;
        }
        let (office, tab) = (Rc::clone(self), tab.to_owned());
        platform::spawn_local(async move {
            lock::gone(&tab).await;
            office.guests.borrow_mut().remove(&tab);
            if office.desk.borrow_mut().leave(&tab) {
                office.stop_running();
            }
        });
    }

    fn queue(&self, asker: Asker, turn: Turn, request: Request, files: Vec<File>) {
        self.desk.borrow_mut().take(asker, turn, (request, files));
        if let Some(wake) = self.wake.take() {
            // The receiver waits in `next`.
            let _ = wake.send(());
        }
    }

    fn cancel(&self, asker: &Asker) {
        let hit = self.desk.borrow_mut().cancel(asker);
        match hit {
            Cancelled::Waiting => wire::post(asker, Event::Stopped),
            Cancelled::Running => self.stop_running(),
            Cancelled::Nothing => self.arrivals.cancel(asker),
        }
    }

    fn stop_running(&self) {
        if let Some(stop) = self.stop.take() {
            // The work may have ended in this very moment; then there is nothing to stop.
            let _ = stop.send(());
        }
    }

    async fn serve(&self) {
        let mut engine = Engine::new(self.arrivals.clone());
        loop {
            let (asker, (request, files)) = self.next(&mut engine).await;
            let (sender, stopped) = oneshot::channel();
            self.stop.replace(Some(sender));
            wire::post(&asker, Event::Begun);
            let work = pin!(engine.serve(&asker, request, files));
            // Work that is given up is dropped where it waits; every commit is one step, so that
            // nothing half done stays behind.
            if let Either::Right((Ok(()), _)) = select(work, stopped).await {
                wire::post(&asker, Event::Stopped);
            }
            self.stop.take();
            self.desk.borrow_mut().end();
        }
    }

    /// The next request. While there is none, the engine gets ready with what it put off, and reads
    /// files of the queue, a step at a time.
    async fn next(&self, engine: &mut Engine) -> (Asker, (Request, Vec<File>)) {
        loop {
            if let Some(next) = self.desk.borrow_mut().begin() {
                return next;
            }
            if engine.has_put_off() {
                engine.catch_up().await;
                continue;
            }
            if engine.work().await {
                // Lets messages in.
                platform::yield_now().await;
                continue;
            }
            let (sender, woken) = oneshot::channel();
            self.wake.replace(Some(sender));
            // The sender goes only when a request has come.
            let _ = woken.await;
        }
    }
}

/// Files are read and kept when nothing else is asked, also those of a tab that has gone meanwhile.
fn turn(request: &Request) -> Turn {
    match request {
        Request::Queue(QueueRequest::Enqueue { .. } | QueueRequest::PlanSync { .. }) => Turn::Patient,
        _ => Turn::Soon,
    }
}
