//! One way to carry messages from one process to another.

/// Messages of `N` words, one to one. Which process offers and which attaches is the sender's and the
/// receiver's part.
pub trait Carrier<const N: usize> {
    /// What is there before the receiver came.
    type Offer;
    type Tx: Send<N>;
    type Rx: Receive<N>;

    /// Makes it, and says where the receiver finds it.
    fn offer() -> (Self::Offer, String);

    /// The sending end, when the receiver has attached.
    fn accept(offer: Self::Offer) -> Self::Tx;

    fn attach(address: &str) -> Self::Rx;
}

/// One within a process, from one thread to another: what no channel between processes can be faster
/// than for free.
pub trait Local<const N: usize> {
    type Tx: Send<N> + core::marker::Send + 'static;
    type Rx: Receive<N> + core::marker::Send + 'static;

    fn pair() -> (Self::Tx, Self::Rx);
}

pub trait Send<const N: usize> {
    fn send(&mut self, message: [u64; N]);
}

pub trait Receive<const N: usize> {
    fn receive(&mut self) -> [u64; N];
}
