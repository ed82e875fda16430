#include <stdlib.h>
void f1(void){ volatile char*p=malloc(1*8+100); p[0]=1; p=0; }
void f2(void){ volatile char*p=malloc(2*8+100); p[0]=1; p=0; }
void f3(void){ volatile char*p=malloc(3*8+100); p[0]=1; p=0; }
void f4(void){ volatile char*p=malloc(4*8+100); p[0]=1; p=0; }
void f5(void){ volatile char*p=malloc(5*8+100); p[0]=1; p=0; }
void f6(void){ volatile char*p=malloc(6*8+100); p[0]=1; p=0; }
void f7(void){ volatile char*p=malloc(7*8+100); p[0]=1; p=0; }
void f8(void){ volatile char*p=malloc(8*8+100); p[0]=1; p=0; }
void f9(void){ volatile char*p=malloc(9*8+100); p[0]=1; p=0; }
void f10(void){ volatile char*p=malloc(10*8+100); p[0]=1; p=0; }
void f11(void){ volatile char*p=malloc(11*8+100); p[0]=1; p=0; }
void f12(void){ volatile char*p=malloc(12*8+100); p[0]=1; p=0; }
void f13(void){ volatile char*p=malloc(13*8+100); p[0]=1; p=0; }
void f14(void){ volatile char*p=malloc(14*8+100); p[0]=1; p=0; }
void f15(void){ volatile char*p=malloc(15*8+100); p[0]=1; p=0; }
void f16(void){ volatile char*p=malloc(16*8+100); p[0]=1; p=0; }
void f17(void){ volatile char*p=malloc(17*8+100); p[0]=1; p=0; }
void f18(void){ volatile char*p=malloc(18*8+100); p[0]=1; p=0; }
void f19(void){ volatile char*p=malloc(19*8+100); p[0]=1; p=0; }
void f20(void){ volatile char*p=malloc(20*8+100); p[0]=1; p=0; }
void f21(void){ volatile char*p=malloc(21*8+100); p[0]=1; p=0; }
void f22(void){ volatile char*p=malloc(22*8+100); p[0]=1; p=0; }
void f23(void){ volatile char*p=malloc(23*8+100); p[0]=1; p=0; }
void f24(void){ volatile char*p=malloc(24*8+100); p[0]=1; p=0; }
void f25(void){ volatile char*p=malloc(25*8+100); p[0]=1; p=0; }
void f26(void){ volatile char*p=malloc(26*8+100); p[0]=1; p=0; }
void f27(void){ volatile char*p=malloc(27*8+100); p[0]=1; p=0; }
void f28(void){ volatile char*p=malloc(28*8+100); p[0]=1; p=0; }
void f29(void){ volatile char*p=malloc(29*8+100); p[0]=1; p=0; }
void f30(void){ volatile char*p=malloc(30*8+100); p[0]=1; p=0; }
int main(){
f1();
f2();
f3();
f4();
f5();
f6();
f7();
f8();
f9();
f10();
f11();
f12();
f13();
f14();
f15();
f16();
f17();
f18();
f19();
f20();
f21();
f22();
f23();
f24();
f25();
f26();
f27();
f28();
f29();
f30();
return 0;}
