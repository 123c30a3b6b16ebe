/* The kernel of a synthetic ESXi image: says its command line on the serial port and switches the machine off. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned long long u64;
/* What a loader of ESXi looks for near the start of a kernel. */
__attribute__((section(".text.magic"), used, aligned(8))) static const unsigned magic = 0x1badb005;

struct hand_over { const char *command_line; u64 modules; };

static void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static void out16(u16 port, u16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static u8 in8(u16 port) { u8 value; __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port)); return value; }
static void say(const char *text) {
	for (; *text; text++) {
		int patience = 1000000;
		while (!(in8(0x3fd) & 0x20) && --patience) {}
		out8(0x3f8, (u8)*text);
	}
}

void start(struct hand_over *given) {
	say("PAYLOAD up ");
	say(given->command_line);
	say("\r\nPAYLOAD modules ");
	char digits[21];
	int at = 20;
	u64 count = given->modules;
	digits[20] = 0;
	do { digits[--at] = (char)('0' + count % 10); count /= 10; } while (count);
	say(digits + at);
	say("\r\nPAYLOAD done\r\n");
	/* Soft off of QEMU's ACPI controller (PIIX4 and ICH9). */
	for (;;) { out16(0x604, 0x2000); out16(0xb004, 0x2000); __asm__ volatile("hlt"); }
}
