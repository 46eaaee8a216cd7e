// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Ends server PORT: echoes, by one selector and non-blocking channels.
// Ends client PORT CONNS ROUNDS: streams that ask InputStream.available() first,
// blocking reads, timeouts, and CONNS channels of one selector; every byte is
// compared. It says what it has done.

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.Arrays;
import java.util.Random;

public class Ends {
	static final InetAddress HOST = InetAddress.getLoopbackAddress();

	static void check(boolean right, String what) {
		if (!right) {
			System.err.println("wrong: " + what);
			System.exit(1);
		}
	}

	// What is to be echoed, filled by reads, emptied by writes.
	static void echo(SelectionKey key) throws IOException {
		SocketChannel channel = (SocketChannel) key.channel();
		ByteBuffer held = (ByteBuffer) key.attachment();
		boolean end = key.isReadable() && channel.read(held) < 0;

		held.flip();
		channel.write(held);
		held.compact();
		if (end) {
			// What is left, however long it takes.
			held.flip();
			while (held.hasRemaining())
				channel.write(held);
			channel.close();
			return;
		}
		key.interestOps((held.hasRemaining() ? SelectionKey.OP_READ : 0)
				| (held.position() > 0 ? SelectionKey.OP_WRITE : 0));
	}

	static void server(int port) throws IOException {
		Selector selector = Selector.open();
		ServerSocketChannel listener = ServerSocketChannel.open();

		listener.bind(new InetSocketAddress(HOST, port), 256);
		listener.configureBlocking(false);
		listener.register(selector, SelectionKey.OP_ACCEPT);
		for (;;) {
			selector.select();
			for (SelectionKey key : selector.selectedKeys()) {
				if (!key.isAcceptable()) {
					echo(key);
					continue;
				}
				SocketChannel channel = listener.accept();
				if (channel == null)
					continue;
				channel.configureBlocking(false);
				channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
				channel.register(selector, SelectionKey.OP_READ,
						ByteBuffer.allocateDirect(32768));
			}
			selector.selectedKeys().clear();
		}
	}

	static byte[] someBytes(Random random, int bits) {
		byte[] bytes = new byte[1 + random.nextInt(1 << (1 + random.nextInt(bits)))];

		random.nextBytes(bytes);
		return bytes;
	}

	static int streams(int port, int rounds) throws Exception {
		Random random = new Random(1);
		int total = 0;

		try (Socket socket = new Socket(HOST, port)) {
			InputStream in = socket.getInputStream();
			OutputStream out = socket.getOutputStream();

			socket.setTcpNoDelay(true);
			check(in.available() == 0, "available before anything was sent");
			for (int i = 0; i < rounds; i++) {
				byte[] sent = someBytes(random, 14);
				byte[] got = new byte[sent.length];
				long patience = System.nanoTime() + 5_000_000_000L;
				int available;

				out.write(sent);
				do {
					available = in.available();
					check(available <= sent.length, "available too much");
					check(System.nanoTime() < patience, "available " + available
							+ " of " + sent.length + " for 5 s");
				} while (available < sent.length);
				// In two pieces: what is left must be told rightly.
				int first = sent.length / 2;
				check(in.readNBytes(got, 0, first) == first, "short");
				check(in.available() == sent.length - first, "available of the rest");
				check(in.readNBytes(got, first, sent.length - first)
						== sent.length - first, "short");
				check(in.available() == 0, "available after all was read");
				check(Arrays.equals(sent, got), "bytes of round " + i);
				total += sent.length;
			}

			// A blocking read with nothing to come: its time, not less.
			socket.setSoTimeout(150);
			long start = System.nanoTime();
			try {
				in.read();
				check(false, "a byte from nowhere");
			} catch (SocketTimeoutException e) {
				long msecs = (System.nanoTime() - start) / 1_000_000;
				check(msecs >= 145 && msecs < 5000, "timeout after " + msecs + " ms");
			}
			socket.setSoTimeout(0);

			// And one that blocks until another thread sends.
			Thread later = new Thread(() -> {
				try {
					Thread.sleep(100);
					out.write(42);
				} catch (Exception e) {
					check(false, e.toString());
				}
			});
			later.start();
			check(in.read() == 42, "the byte that came later");
			later.join();
			out.write(new byte[] {1, 2, 3, 4});
			check(new DataInputStream(in).readInt() == 0x01020304, "readInt");
			socket.shutdownOutput();
			check(in.read() == -1, "no end of file");
		}
		return total;
	}

	static class Conversation {
		final Random random;
		int rounds;
		byte[] sent;
		ByteBuffer out, in;

		Conversation(int seed, int rounds) {
			random = new Random(seed);
			this.rounds = rounds;
			next();
		}

		void next() {
			sent = someBytes(random, 17);
			out = ByteBuffer.wrap(sent);
			in = ByteBuffer.allocate(sent.length);
			rounds--;
		}
	}

	static long channels(int port, int conns, int rounds) throws Exception {
		Selector selector = Selector.open();
		long total = 0;
		int left = conns;

		for (int i = 0; i < conns; i++) {
			SocketChannel channel = SocketChannel.open();
			channel.configureBlocking(false);
			boolean connected = channel.connect(new InetSocketAddress(HOST, port));
			channel.register(selector, connected ? SelectionKey.OP_WRITE
					: SelectionKey.OP_CONNECT, new Conversation(i, rounds));
		}
		while (left > 0) {
			check(selector.select(5000) > 0, "no event for 5 s, " + left + " left");
			for (SelectionKey key : selector.selectedKeys()) {
				SocketChannel channel = (SocketChannel) key.channel();
				Conversation c = (Conversation) key.attachment();

				if (key.isConnectable())
					channel.finishConnect();
				if (c.rounds < 0) { // all is sent, and back
					if (channel.read(ByteBuffer.allocate(1)) < 0) {
						channel.close();
						left--;
					}
					continue;
				}
				channel.write(c.out);
				check(channel.read(c.in) >= 0, "early end of file");
				if (!c.in.hasRemaining()) {
					check(Arrays.equals(c.sent, c.in.array()), "bytes of a channel");
					total += c.sent.length;
					if (c.rounds > 0) {
						c.next();
						channel.write(c.out);
					} else {
						c.rounds = -1;
						channel.shutdownOutput();
					}
				}
				key.interestOps(SelectionKey.OP_READ
						| (c.out.hasRemaining() ? SelectionKey.OP_WRITE : 0));
			}
			selector.selectedKeys().clear();
		}
		return total;
	}

	public static void main(String[] args) throws Exception {
		int port = Integer.parseInt(args[1]);

		if (args[0].equals("server"))
			server(port);
		int conns = Integer.parseInt(args[2]);
		int rounds = Integer.parseInt(args[3]);
		int first = streams(port, rounds * 20);
		long second = channels(port, conns, rounds);
		System.out.println(first + " bytes by streams, " + second
				+ " by " + conns + " channels");
	}
}
