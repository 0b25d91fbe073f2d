//! The pool over sysvring: one MPMC channel for the requests, one for the answers.
//!
//! A worker acknowledges a request when its answer was sent. The request of a worker that is killed
//! before that goes to another one.

use sysvring::{ChannelId, Options, RecvError, SendError, mpmc};

use crate::Failure;
use crate::message::{LONGEST, Message, answer};
use crate::waiting::{Waiting, Wakes};

/// Slots of each channel: requests beyond that wait in the front.
const CAPACITY: usize = 256;

/// Seats of the front in each channel.
const FRONT: usize = 2;

/// The front's side.
pub struct Channels {
    requests: mpmc::Sender<Message>,
    answers: mpmc::Receiver<Message>,
    /// Members of the other sides: as long as they exist, the channels are not disconnected, even if
    /// all workers are killed at the same time.
    _kept: (mpmc::Receiver<Message>, mpmc::Sender<Message>),
}

impl Channels {
    /// Creates the channels for this number of workers.
    pub fn new(workers: usize) -> Result<Channels, sysvring::Error> {
        let options = || {
            // A waker looks at a line of each seat, so there are no more of them than the front needs
            // and as many workers.
            let options = Options::private().max_members(FRONT + workers).capacity(CAPACITY);
            options.slot_size(LONGEST).label("front")
        };
        let requests: mpmc::Sender<Message> = options().create()?;
        let answers: mpmc::Receiver<Message> = options().create()?;
        let attach = Options::id;
        let kept = (attach(requests.id()).attach()?, attach(answers.id()).attach()?);
        Ok(Channels { requests, answers, _kept: kept })
    }

    /// Returns the identifiers of the channels of requests and of answers.
    pub fn ids(&self) -> [ChannelId; 2] {
        [self.requests.id(), self.answers.id()]
    }

    /// Sends a request. Waits while the channel is full.
    pub async fn send(&self, id: u64, body: &[u8]) -> Result<(), SendError> {
        let bytes = Message::bytes(id, body);
        match Message::of(&bytes) {
            Some(message) => self.requests.send_async(message).await,
            None => Ok(()),
        }
    }

    /// Receives answers for ever.
    pub async fn receive(&self, waiting: &Waiting, wakes: &Wakes) -> Result<(), RecvError> {
        loop {
            let answer = wakes.count(self.answers.recv_ref_async()).await?;
            waiting.deliver(answer.id.get(), &answer.body);
            answer.ack()?;
        }
    }
}

/// The worker: answers requests until the front leaves.
pub fn work(requests: ChannelId, answers: ChannelId) -> Result<(), Failure> {
    let options = |id| Options::id(id).label("worker");
    let requests: mpmc::Receiver<Message> = options(requests).attach()?;
    let answers: mpmc::Sender<Message> = options(answers).attach()?;
    loop {
        let request = match requests.recv_ref() {
            Ok(request) => request,
            Err(RecvError::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let digits = answer(&request.body);
        let mut message = answers.loan_with(digits.len())?;
        message.id = request.id;
        message.body.copy_from_slice(&digits);
        message.commit()?;
        // Last: until here, another worker gets the request if this one is killed.
        request.ack()?;
    }
}
