//! Why a connection ended.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer closed it, or was lost.
    ByPeer,
    /// We closed it, as is usual: it was idle, or the node stops.
    Usual(String),
    /// The peer broke the protocol or a limit, or the disk broke an answer.
    Notable(String),
}
