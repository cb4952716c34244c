//! What stands for threads in a program that was compiled without them: one.

pub(crate) async fn start(_n_threads: Option<usize>) -> usize {
    count()
}

pub(crate) fn count() -> usize {
    1
}

pub(crate) fn parallel_chunks_mut<T: Send>(
    data: &mut [T],
    chunk_len: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    data.chunks_mut(chunk_len).enumerate().for_each(|(chunk_idx, chunk)| f(chunk_idx, chunk));
}
